//! The list of formats, and the services, companies and names by which an advertisement is recognised.

use super::advertisement::{Advertisement, Entry, Uuid};
use super::readings::Readings;
use super::{
    BleProblem, Packet, aranet, bluemaestro, bthome, eddystone, govee, hhcc, ibeacon, inkbird, jaalee,
    mi_scale, mibeacon, mikrotik, mopeka, oral_b, pvvx, qingping, ruuvi, sensirion, sensorpro, sensorpush,
    switchbot, teltonika, thermobeacon, thermopro,
};

/// A format of advertisements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is documented in the file of its name, and in docs/ble.md")]
pub enum Kind {
    Bthome,
    Ruuvi,
    Mibeacon,
    Pvvx,
    Govee,
    Switchbot,
    Qingping,
    Aranet,
    Sensirion,
    Inkbird,
    Thermopro,
    Thermobeacon,
    Sensorpush,
    Sensorpro,
    Mopeka,
    MiScale,
    Bluemaestro,
    Teltonika,
    Mikrotik,
    Hhcc,
    Jaalee,
    OralB,
    Tilt,
    Eddystone,
    Ibeacon,
}

type Decode = fn(&Packet<'_>, &mut Readings<'_>) -> Result<(), BleProblem>;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Bthome,
        Self::Ruuvi,
        Self::Mibeacon,
        Self::Pvvx,
        Self::Govee,
        Self::Switchbot,
        Self::Qingping,
        Self::Aranet,
        Self::Sensirion,
        Self::Inkbird,
        Self::Thermopro,
        Self::Thermobeacon,
        Self::Sensorpush,
        Self::Sensorpro,
        Self::Mopeka,
        Self::MiScale,
        Self::Bluemaestro,
        Self::Teltonika,
        Self::Mikrotik,
        Self::Hhcc,
        Self::Jaalee,
        Self::OralB,
        Self::Tilt,
        Self::Eddystone,
        Self::Ibeacon,
    ];

    /// Its name, in docs and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn decode(self, packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
        (self.entry().1)(packet, out)
    }

    fn entry(self) -> (&'static str, Decode) {
        match self {
            Self::Bthome => ("bthome", bthome::decode),
            Self::Ruuvi => ("ruuvi", ruuvi::decode),
            Self::Mibeacon => ("mibeacon", mibeacon::decode),
            Self::Pvvx => ("pvvx", pvvx::decode),
            Self::Govee => ("govee", govee::decode),
            Self::Switchbot => ("switchbot", switchbot::decode),
            Self::Qingping => ("qingping", qingping::decode),
            Self::Aranet => ("aranet", aranet::decode),
            Self::Sensirion => ("sensirion", sensirion::decode),
            Self::Inkbird => ("inkbird", inkbird::decode),
            Self::Thermopro => ("thermopro", thermopro::decode),
            Self::Thermobeacon => ("thermobeacon", thermobeacon::decode),
            Self::Sensorpush => ("sensorpush", sensorpush::decode),
            Self::Sensorpro => ("sensorpro", sensorpro::decode),
            Self::Mopeka => ("mopeka", mopeka::decode),
            Self::MiScale => ("mi-scale", mi_scale::decode),
            Self::Bluemaestro => ("bluemaestro", bluemaestro::decode),
            Self::Teltonika => ("teltonika", teltonika::decode),
            Self::Mikrotik => ("mikrotik", mikrotik::decode),
            Self::Hhcc => ("hhcc", hhcc::decode),
            Self::Jaalee => ("jaalee", jaalee::decode),
            Self::OralB => ("oral-b", oral_b::decode),
            Self::Tilt => ("tilt", ibeacon::decode_tilt),
            Self::Eddystone => ("eddystone", eddystone::decode),
            Self::Ibeacon => ("ibeacon", ibeacon::decode),
        }
    }

    /// The format of an advertisement: by the first known one of its services and manufacturers; else by its name; else
    /// what only hints at a format; else an iBeacon, which many sensors send besides.
    #[must_use]
    pub fn of(advertisement: &Advertisement<'_>) -> Option<Self> {
        let by_name = || advertisement.name().and_then(Self::by_name);
        let by_hint = || advertisement.entries().find_map(Self::by_hint);
        let by_entry = advertisement.entries().find_map(Self::by_entry);
        by_entry.or_else(by_name).or_else(by_hint).or_else(|| Self::apple(advertisement))
    }

    fn by_entry(entry: Entry<'_>) -> Option<Self> {
        match entry {
            Entry::Service(uuid, _) => Self::by_service(uuid),
            Entry::Manufacturer(company, data) => match company {
                ruuvi::COMPANY => Some(Self::Ruuvi),
                switchbot::COMPANY => Some(Self::Switchbot),
                aranet::COMPANY => Some(Self::Aranet),
                sensirion::COMPANY => Some(Self::Sensirion),
                bluemaestro::COMPANY => Some(Self::Bluemaestro),
                teltonika::EYE | teltonika::PUCK => Some(Self::Teltonika),
                mikrotik::COMPANY => Some(Self::Mikrotik),
                oral_b::COMPANY => Some(Self::OralB),
                // With the service data that names the model it is no Mopeka.
                mopeka::COMPANY if mopeka::is_one(data) => Some(Self::Mopeka),
                _ => None,
            },
            Entry::Uuid(_) => None,
        }
    }

    fn by_service(uuid: Uuid) -> Option<Self> {
        match uuid {
            bthome::V2 | bthome::V1 | bthome::V1_ENCRYPTED => Some(Self::Bthome),
            mibeacon::SERVICE => Some(Self::Mibeacon),
            pvvx::SERVICE => Some(Self::Pvvx),
            switchbot::SERVICE | switchbot::OLD_SERVICE => Some(Self::Switchbot),
            qingping::SERVICE => Some(Self::Qingping),
            mi_scale::WEIGHT | mi_scale::COMPOSITION => Some(Self::MiScale),
            hhcc::SERVICE => Some(Self::Hhcc),
            jaalee::SERVICE => Some(Self::Jaalee),
            eddystone::SERVICE => Some(Self::Eddystone),
            _ => None,
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        match name {
            _ if govee::is_name(name) => Some(Self::Govee),
            _ if inkbird::is_name(name) => Some(Self::Inkbird),
            _ if thermopro::is_name(name) => Some(Self::Thermopro),
            _ if sensorpush::is_name(name) => Some(Self::Sensorpush),
            _ => None,
        }
    }

    /// Ids that belong to another company; the length or the first bytes of the data decide.
    fn by_hint(entry: Entry<'_>) -> Option<Self> {
        match entry {
            Entry::Manufacturer(company, data) => match company {
                sensorpro::COMPANY => Some(Self::Sensorpro),
                inkbird::COMPANY_18 | inkbird::COMPANY_IAM_T2 => Some(Self::Inkbird),
                _ if govee::is_company(company, data) => Some(Self::Govee),
                _ if thermobeacon::is_one(company, data) => Some(Self::Thermobeacon),
                _ => None,
            },
            Entry::Uuid(sensorpush::SERVICE_HT1 | sensorpush::SERVICE) => Some(Self::Sensorpush),
            _ => None,
        }
    }

    fn apple(advertisement: &Advertisement<'_>) -> Option<Self> {
        if ibeacon::is_tilt(advertisement) {
            return Some(Self::Tilt);
        }
        if jaalee::is_one(advertisement) {
            return Some(Self::Jaalee);
        }
        ibeacon::is_one(advertisement).then_some(Self::Ibeacon)
    }
}

/// What names a beacon whatever its address: iBeacon's UUID, major and minor, or Eddystone's UID. A device can be called
/// by it in the configuration.
#[must_use]
pub fn identity(advertisement: &Advertisement<'_>) -> Option<String> {
    ibeacon::identity(advertisement).or_else(|| eddystone::identity(advertisement))
}

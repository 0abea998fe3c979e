//! What an advertisement of one of the formats holds, as patterns: for stacks that wake up for nothing else.
//!
//! Formats that are recognised by a name have no pattern: their devices are found by active scanning.

use super::advertisement::Uuid;
use super::{
    aranet, bluemaestro, bthome, eddystone, hhcc, ibeacon, inkbird, jaalee, mi_scale, mibeacon, mikrotik,
    mopeka, oral_b, pvvx, qingping, ruuvi, sensirion, sensorpro, switchbot, teltonika, thermobeacon,
};

const SERVICE_DATA_16: u8 = 0x16;
const MANUFACTURER_DATA: u8 = 0xff;

const SERVICES: [Uuid; 14] = [
    bthome::V2,
    bthome::V1,
    bthome::V1_ENCRYPTED,
    mibeacon::SERVICE,
    pvvx::SERVICE,
    switchbot::SERVICE,
    switchbot::OLD_SERVICE,
    qingping::SERVICE,
    mi_scale::WEIGHT,
    mi_scale::COMPOSITION,
    hhcc::SERVICE,
    jaalee::SERVICE,
    eddystone::SERVICE,
    mopeka::SERVICE,
];

const COMPANIES: [u16; 14] = [
    ruuvi::COMPANY,
    switchbot::COMPANY,
    aranet::COMPANY,
    sensirion::COMPANY,
    bluemaestro::COMPANY,
    teltonika::EYE,
    teltonika::PUCK,
    mikrotik::COMPANY,
    oral_b::COMPANY,
    mopeka::COMPANY,
    sensorpro::COMPANY,
    inkbird::COMPANY_18,
    inkbird::COMPANY_IAM_T2,
    ibeacon::COMPANY,
];

/// The type of an AD structure, and the first bytes of its data.
#[must_use]
pub fn patterns() -> Vec<(u8, Vec<u8>)> {
    let services = SERVICES.into_iter().filter_map(Uuid::as_short).map(|uuid| (SERVICE_DATA_16, uuid));
    let companies = COMPANIES.into_iter().chain(thermobeacon::COMPANIES);
    let companies = companies.map(|company| (MANUFACTURER_DATA, company));
    services.chain(companies).map(|(kind, id)| (kind, id.to_le_bytes().to_vec())).collect()
}

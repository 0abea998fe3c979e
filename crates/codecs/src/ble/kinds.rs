//! The list of formats, and which service, company or name tells that an advertisement is of one.

use super::advertisement::{Advertisement, Entry};
use super::readings::Readings;
use super::{BleProblem, Packet, bthome, mi_scale, mibeacon};

/// A format of advertisements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// BTHome 1 and 2.
    Bthome,
    /// Xiaomi's MiBeacon.
    Mibeacon,
    /// Xiaomi's scales.
    MiScale,
}

impl Kind {
    /// Its name, in docs and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bthome => "bthome",
            Self::Mibeacon => "mibeacon",
            Self::MiScale => "mi-scale",
        }
    }

    /// Of which format an advertisement is: the first of its services and manufacturers that tells, else its name.
    #[must_use]
    pub fn of(advertisement: &Advertisement<'_>) -> Option<Self> {
        advertisement.entries().find_map(|entry| match entry {
            Entry::Service(uuid, _) => match uuid {
                bthome::V2 | bthome::V1 | bthome::V1_ENCRYPTED => Some(Self::Bthome),
                mibeacon::SERVICE => Some(Self::Mibeacon),
                mi_scale::WEIGHT | mi_scale::COMPOSITION => Some(Self::MiScale),
                _ => None,
            },
            _ => None,
        })
    }

    pub(super) fn decode(self, packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
        match self {
            Self::Bthome => bthome::decode(packet, out),
            Self::Mibeacon => mibeacon::decode(packet, out),
            Self::MiScale => mi_scale::decode(packet, out),
        }
    }
}

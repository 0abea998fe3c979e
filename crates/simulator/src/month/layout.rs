//! The devices of the building and their places: a weather station, then wings of four rooms, two per floor.
//!
//! Each room has a climate sensor and a power meter; every second one also a light sensor and the heating circuit of
//! itself and the next. A wing is a zone, so that each climate sensor has three neighbours.

use super::sensor::Metric;

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Weather,
    Climate,
    Meter,
    Light,
    Heating,
}

/// The place of a device. Rooms are numbered from 0; the weather station is in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) room: usize,
    pub(super) name: String,
    pub(super) zone: String,
}

const ROOMS_OF_WING: usize = 4;
const ROOMS_OF_FLOOR: usize = 2 * ROOMS_OF_WING;

impl Kind {
    /// Its metrics, in the order of sending.
    pub(super) const fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Weather => &[Metric::Temperature, Metric::Pressure],
            Self::Climate => &[Metric::Temperature, Metric::Humidity, Metric::Co2, Metric::Battery],
            Self::Meter => &[Metric::Power],
            Self::Light => &[Metric::Illuminance],
            Self::Heating => &[Metric::SupplyTemperature],
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Weather => "weather",
            Self::Climate => "climate",
            Self::Meter => "meter",
            Self::Light => "light",
            Self::Heating => "heating",
        }
    }
}

/// The room with the heating circuit that heats `room`.
pub(super) const fn circuit_of(room: usize) -> usize {
    room - room % 2
}

/// An endless sequence of devices; a building takes the first ones.
pub(super) fn places() -> impl Iterator<Item = Place> {
    let weather =
        Place { kind: Kind::Weather, room: 0, name: "weather".to_owned(), zone: "outside".to_owned() };
    std::iter::once(weather).chain((0..).flat_map(places_of_room))
}

fn places_of_room(room: usize) -> impl Iterator<Item = Place> {
    let floor = room / ROOMS_OF_FLOOR + 1;
    let number = floor * 100 + room % ROOMS_OF_FLOOR + 1;
    let wing = if room % ROOMS_OF_FLOOR < ROOMS_OF_WING { "east" } else { "west" };
    let kinds: &[Kind] = if room == circuit_of(room) {
        &[Kind::Climate, Kind::Meter, Kind::Light, Kind::Heating]
    } else {
        &[Kind::Climate, Kind::Meter]
    };
    kinds.iter().map(move |&kind| Place {
        kind,
        room,
        name: format!("{}-{number}", kind.as_str()),
        zone: format!("floor-{floor}/{wing}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_wings_and_a_weather_station_are_25_devices_with_50_series() {
        let places: Vec<_> = places().take(25).collect();
        assert_eq!(places.iter().map(|place| place.kind.metrics().len()).sum::<usize>(), 50);
        let in_zone = |zone, kind| places.iter().filter(|p| p.zone == zone && p.kind == kind).count();
        for zone in ["floor-1/east", "floor-1/west"] {
            assert_eq!((in_zone(zone, Kind::Climate), in_zone(zone, Kind::Heating)), (4, 2), "{zone}");
        }
        assert_eq!((places[0].name.as_str(), places[24].name.as_str()), ("weather", "meter-108"));
    }

    #[test]
    fn no_two_devices_share_a_name() {
        let mut names: Vec<_> = places().take(1000).map(|place| place.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }
}

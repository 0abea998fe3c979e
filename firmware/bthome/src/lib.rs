//! A node's readings as BTHome advertisements (bthome.io/format, version 2), not encrypted.
//!
//! Guarantees: an advertisement has at most 31 bytes; the objects of each are in ascending order of their ids, as the format
//! wants it; no reading is in two of them; a reading that BTHome cannot say is left out and counted, never altered beyond
//! the resolution of its object.

#![no_std]

mod object;

use object::Object;
use wire::{DecodeError, Item, Reading};

/// The longest advertisement on the channels that every receiver hears (Bluetooth Core, legacy advertising).
pub const MAX_ADVERTISEMENT: usize = 31;

/// How many advertisements one frame may give.
pub const MAX_ADVERTISEMENTS: usize = 6;

/// How many readings of one frame are told.
const MAX_OBJECTS: usize = 24;

/// Flags: discoverable, no Bluetooth Classic.
const FLAGS: [u8; 3] = [0x02, 0x01, 0x06];
const SERVICE_DATA: u8 = 0x16;
/// Little-endian, as Bluetooth sends it.
const UUID: [u8; 2] = [0xd2, 0xfc];
/// Version 2, not encrypted, sends regularly.
const DEVICE_INFORMATION: u8 = 0x40;
const PACKET_ID: u8 = 0x00;
const FIRMWARE_3: u8 = 0xf2;
/// Before the objects: flags; length, type, UUID and device information; packet id.
const HEAD: usize = FLAGS.len() + 5 + 2;

/// The data of one advertisement.
pub type Advertisement = heapless::Vec<u8, MAX_ADVERTISEMENT>;
/// Those of one frame, to be sent one after the other.
pub type Advertisements = heapless::Vec<Advertisement, MAX_ADVERTISEMENTS>;

/// Numbers the advertisements, so that a receiver counts a repeated one once.
#[derive(Debug, Clone, Default)]
pub struct Beacon {
    packet: u8,
}

/// What a frame became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// To be sent.
    pub advertisements: Advertisements,
    /// Readings without a value, or that BTHome cannot say.
    pub left_out: usize,
}

impl Beacon {
    /// Begins with a number; by chance, so that the first packet after a restart is not taken for a repetition.
    #[must_use]
    pub const fn new(packet: u8) -> Self {
        Self { packet }
    }

    /// The readings of a frame of one record. Readings of several records are told as one: a beacon knows the present only.
    ///
    /// # Errors
    /// If the bytes are no frame in the clear.
    pub fn frame(&mut self, frame: &[u8]) -> Result<Encoded, DecodeError> {
        let mut readings = heapless::Vec::<Reading, MAX_OBJECTS>::new();
        let mut left_out = 0;
        for item in wire::decode(frame)? {
            if let Item::Reading(reading) = item? {
                left_out += usize::from(readings.push(reading).is_err());
            }
        }
        let mut encoded = self.readings(&readings);
        encoded.left_out += left_out;
        Ok(encoded)
    }

    /// Readings of one moment.
    pub fn readings(&mut self, readings: &[Reading]) -> Encoded {
        let mut objects = heapless::Vec::<Object, MAX_OBJECTS>::new();
        let mut encoded = Encoded::default();
        for reading in readings {
            let object = Object::of(*reading);
            let is_told = object.is_some_and(|object| objects.push(object).is_ok());
            encoded.left_out += usize::from(!is_told);
        }
        // The second object of an id is the second sensor.
        objects.sort_unstable_by_key(|object| (object.id, object.channel));
        let mut rest = objects.as_slice();
        while let Some((advertisement, told)) = self.advertisement(rest) {
            if encoded.advertisements.push(advertisement).is_err() {
                break;
            }
            rest = rest.get(told..).unwrap_or_default();
        }
        encoded.left_out += rest.len();
        encoded
    }

    /// The image's version, told now and then.
    pub fn firmware(&mut self, version: [u8; 3]) -> Advertisement {
        let [major, minor, patch] = version;
        let object = Object::new(FIRMWARE_3, &[patch, minor, major]);
        self.advertisement(&[object]).map(|(advertisement, _)| advertisement).unwrap_or_default()
    }

    /// The longest advertisement of the first objects, and how many they are; `None` without any.
    fn advertisement(&mut self, objects: &[Object]) -> Option<(Advertisement, usize)> {
        let mut length = HEAD;
        let fits = |object: &&Object| {
            length += 1 + object.value().len();
            length <= MAX_ADVERTISEMENT
        };
        let told = objects.iter().take_while(fits).count();
        let objects = objects.get(..told).filter(|objects| !objects.is_empty())?;
        let mut data = heapless::Vec::<u8, MAX_ADVERTISEMENT>::new();
        self.packet = self.packet.wrapping_add(1);
        data.extend([UUID[0], UUID[1], DEVICE_INFORMATION, PACKET_ID, self.packet]);
        for object in objects {
            data.extend(core::iter::once(object.id).chain(object.value().iter().copied()));
        }
        let mut advertisement = Advertisement::new();
        // The element's length counts its type.
        let element = u8::try_from(1 + data.len()).ok()?;
        advertisement.extend(FLAGS.into_iter().chain([element, SERVICE_DATA]).chain(data));
        Some((advertisement, told))
    }
}

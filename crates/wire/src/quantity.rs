//! What a field measures, and how its number is written.
//!
//! A row of the table never changes once nodes are out that send it; a new quantity takes the next free number.

use core::fmt;

/// What a sensor measures; the number is its tag on channel 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Quantity {
    /// 0.01 °C.
    Temperature = 1,
    /// Relative, 0.01 %, up to 100 %.
    Humidity = 2,
    /// Of the air, 0.1 hPa.
    Pressure = 3,
    /// ppm.
    Co2 = 4,
    /// Volatile organic compounds, ppb.
    Voc = 5,
    /// Particles up to 2.5 µm, 0.1 µg/m³.
    Pm25 = 6,
    /// 0.01 lx.
    Illuminance = 7,
    /// 1: occupied.
    Occupancy = 8,
    /// 1: closed.
    Contact = 9,
    /// 1: wet.
    WaterLeak = 10,
    /// 1: smoke.
    Smoke = 11,
    /// Charge, %, up to 100.
    Battery = 12,
    /// mV.
    Voltage = 13,
    /// mA.
    Current = 14,
    /// mW.
    Power = 15,
    /// A counter, Wh.
    Energy = 16,
    /// A general counter.
    Count = 17,
}

/// Which of several sensors of one quantity, 0 to 7; a node with one sensor has it on 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Channel(u8);

impl Channel {
    /// Channel 0.
    pub const FIRST: Self = Self(0);
    /// The highest number.
    pub const MAX: u8 = 7;

    /// The channel of that number; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Where the channel begins in a tag.
const CHANNEL_SHIFT: u8 = 5;

/// A quantity on a channel: which sensor of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// What the sensor measures.
    pub quantity: Quantity,
    /// Which of the node's sensors of this quantity.
    pub channel: Channel,
}

impl Tag {
    /// The byte that stands for it in a frame.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.channel.0 << CHANNEL_SHIFT | self.quantity as u8
    }

    /// The sensor that a byte stands for; `None` if there is no such quantity.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        let (number, channel) = (byte & ((1 << CHANNEL_SHIFT) - 1), byte >> CHANNEL_SHIFT);
        let quantity = Quantity::ALL.into_iter().find(|quantity| *quantity as u8 == number)?;
        Some(Self { quantity, channel: Channel(channel) })
    }
}

/// How a field's number is written.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// In bytes.
    pub(crate) width: usize,
    pub(crate) signed: bool,
    least: i64,
    most: i64,
    /// Says that there is no value.
    none: i64,
}

impl Form {
    const U8: Self = Self::unsigned(1);
    const U16: Self = Self::unsigned(2);
    const U32: Self = Self::unsigned(4);
    const I16: Self = Self::signed(2);
    const I32: Self = Self::signed(4);

    const fn unsigned(width: usize) -> Self {
        let none = (1 << (8 * width)) - 1;
        Self { width, signed: false, least: 0, most: none - 1, none }
    }

    const fn signed(width: usize) -> Self {
        let none = -(1 << (8 * width - 1));
        Self { width, signed: true, least: none + 1, most: -(none + 1), none }
    }

    const fn up_to(self, most: i64) -> Self {
        Self { most, ..self }
    }

    /// The number as it is written; `None` out of range.
    pub(crate) const fn to_number(self, raw: Option<i64>) -> Option<i64> {
        match raw {
            None => Some(self.none),
            Some(raw) if self.least <= raw && raw <= self.most => Some(raw),
            Some(_) => None,
        }
    }

    /// The value of a written number; `None` out of range.
    pub(crate) const fn to_raw(self, number: i64) -> Option<Option<i64>> {
        if number == self.none {
            return Some(None);
        }
        if self.least <= number && number <= self.most { Some(Some(number)) } else { None }
    }
}

struct Row {
    name: &'static str,
    form: Form,
    divisor: u32,
}

const fn row(name: &'static str, form: Form, divisor: u32) -> Row {
    Row { name, form, divisor }
}

impl Quantity {
    /// All that there are.
    pub const ALL: [Self; 17] = [
        Self::Temperature,
        Self::Humidity,
        Self::Pressure,
        Self::Co2,
        Self::Voc,
        Self::Pm25,
        Self::Illuminance,
        Self::Occupancy,
        Self::Contact,
        Self::WaterLeak,
        Self::Smoke,
        Self::Battery,
        Self::Voltage,
        Self::Current,
        Self::Power,
        Self::Energy,
        Self::Count,
    ];

    const fn row(self) -> Row {
        match self {
            Self::Temperature => row("temperature", Form::I16, 100),
            Self::Humidity => row("humidity", Form::U16.up_to(10_000), 100),
            Self::Pressure => row("pressure", Form::U16, 10),
            Self::Co2 => row("co2", Form::U16, 1),
            Self::Voc => row("voc", Form::U16, 1),
            Self::Pm25 => row("pm25", Form::U16, 10),
            Self::Illuminance => row("illuminance", Form::U32, 100),
            Self::Occupancy => row("occupancy", Form::U8.up_to(1), 1),
            Self::Contact => row("contact", Form::U8.up_to(1), 1),
            Self::WaterLeak => row("water_leak", Form::U8.up_to(1), 1),
            Self::Smoke => row("smoke", Form::U8.up_to(1), 1),
            Self::Battery => row("battery", Form::U8.up_to(100), 1),
            Self::Voltage => row("voltage", Form::U32, 1_000),
            Self::Current => row("current", Form::I32, 1_000),
            Self::Power => row("power", Form::I32, 1_000),
            Self::Energy => row("energy", Form::U32, 1_000),
            Self::Count => row("count", Form::U32, 1),
        }
    }

    pub(crate) const fn form(self) -> Form {
        self.row().form
    }

    /// Its metric's name, as zigbee2mqtt has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What a raw value is divided by to be in the metric's unit: °C, %, hPa, ppm, ppb, µg/m³, lx, V, A, W, kWh.
    #[must_use]
    pub const fn divisor(self) -> u32 {
        self.row().divisor
    }

    /// The lowest and the highest raw value.
    #[must_use]
    pub const fn range(self) -> (i64, i64) {
        let form = self.form();
        (form.least, form.most)
    }

    /// How many bytes its number takes.
    #[must_use]
    pub const fn width(self) -> usize {
        self.form().width
    }

    /// Whether it is one of two states, 0 and 1.
    #[must_use]
    pub const fn is_state(self) -> bool {
        matches!(self, Self::Occupancy | Self::Contact | Self::WaterLeak | Self::Smoke)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

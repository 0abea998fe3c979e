//! The numbers behind the nodes, each with its source. A number without a data sheet is an assumption and says so.
//!
//! All are typical values at 3.0 to 3.3 V and 25 °C; none was measured on a board of ours.

/// A number and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// In `unit`.
    pub value: f64,
    /// mA, ms or others.
    pub unit: &'static str,
    /// The document, or why it was assumed.
    pub source: &'static str,
    /// No document has it.
    pub is_assumed: bool,
}

const fn sheet(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Figure {
    Figure { name, value, unit, source, is_assumed: false }
}

const fn assumed(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Figure {
    Figure { name, value, unit, source, is_assumed: true }
}

/// Energy is charge times this.
pub const SUPPLY: Figure =
    assumed("supply", 3.3, "V", "the voltage at which data sheets give most of these currents");
/// Sensor and board.
pub const SENSOR_SLEEP: Figure = sheet("BME280: sleep", 0.0001, "mA", "BME280 data sheet, table 1");
/// While it measures.
pub const SENSOR: Figure =
    sheet("BME280: measuring", 0.714, "mA", "BME280 data sheet, table 1: pressure, its largest current");
/// Temperature, pressure and humidity once each.
pub const SENSOR_TIME: Figure = sheet(
    "BME280: one measurement",
    9.3,
    "ms",
    "BME280 data sheet, appendix B: all at oversampling 1, maximum",
);
/// Regulator, pull-ups, leakage.
pub const BOARD: Figure = assumed(
    "board: regulator, pull-ups, leakage",
    0.002,
    "mA",
    "a board made for batteries; development boards take a hundred times as much",
);

/// STM32WL asleep.
pub const LORA_SLEEP: Figure =
    sheet("STM32WL: Stop 2 with RTC", 0.00107, "mA", "STM32WLE5 data sheet, features");
/// STM32WL at work.
pub const LORA_CPU: Figure =
    sheet("STM32WL: running at 48 MHz", 3.45, "mA", "STM32WLE5 data sheet, features: 72 µA/MHz");
/// How long its processor works for a report.
pub const LORA_CPU_TIME: Figure = assumed(
    "STM32WL: awake a report, beside its radio",
    30.0,
    "ms",
    "waking, encoding, AES and MIC, writing the counter",
);
/// Sending.
pub const LORA_TRANSMIT: Figure = sheet(
    "STM32WL: sending at 14 dBm with DC/DC",
    25.5,
    "mA",
    "SX1261/2 data sheet, transmit mode at 868 MHz: the radio in the STM32WL",
);
/// Sending, where only the amplifier for 22 dBm is connected, as on common modules.
pub const LORA_TRANSMIT_HIGH: Figure = assumed(
    "STM32WL: sending at 14 dBm with the amplifier for 22 dBm",
    86.0,
    "mA",
    "measured by users of the LoRa-E5 module, which has no other amplifier; no data sheet has it",
);
/// Listening.
pub const LORA_RECEIVE: Figure =
    sheet("STM32WL: receiving, LoRa 125 kHz", 4.82, "mA", "STM32WLE5 data sheet, features");
/// Both windows are opened, and no downlink comes.
pub const LORA_WINDOW: Figure = assumed(
    "LoRaWAN: a receive window without a downlink",
    8.0,
    "symbols",
    "five symbols of a preamble, and the clock's error; the second window is at SF12",
);

/// nRF52840 asleep.
pub const BLE_SLEEP: Figure = sheet(
    "nRF52840: System ON, RTC, all RAM",
    0.00316,
    "mA",
    "nRF52840 product specification, current consumption",
);
/// Sending.
pub const BLE_TRANSMIT: Figure =
    sheet("nRF52840: sending at 0 dBm with DC/DC", 4.8, "mA", "nRF52840 product specification, features");
/// The processor and the crystal.
pub const BLE_CPU: Figure = sheet(
    "nRF52840: running at 64 MHz with DC/DC",
    3.3,
    "mA",
    "nRF52840 product specification, current consumption: CoreMark from flash",
);
/// Around the three packets.
pub const BLE_CPU_TIME: Figure = assumed(
    "nRF52840: awake an advertising event, beside its radio",
    1.5,
    "ms",
    "the crystal's start, ramp-up on three channels, the stack",
);
/// Around a measurement.
pub const BLE_MEASURE_TIME: Figure =
    assumed("nRF52840: awake a measurement", 15.0, "ms", "the sensor's time, I²C, encoding");
/// Repeats, since no scanner listens all the time on all channels.
pub const BLE_EVENTS: Figure = assumed(
    "BLE: advertising events a report",
    30.0,
    "",
    "three seconds at an interval of 100 ms, and then nothing until the next report",
);

/// Pico W asleep.
pub const WIFI_SLEEP: Figure = sheet(
    "Pico W: dormant, Wi-Fi off",
    0.8,
    "mA",
    "Raspberry Pi Pico data sheet, power consumption in dormant mode",
);
/// Its processor while the radio is off.
pub const WIFI_CPU: Figure = assumed(
    "Pico W: running, Wi-Fi off",
    25.0,
    "mA",
    "the Raspberry Pi Pico data sheet has 20 to 90 mA for its examples",
);
/// Around a measurement.
pub const WIFI_MEASURE_TIME: Figure =
    assumed("Pico W: awake a measurement", 30.0, "ms", "the clock's start, the sensor's time, I²C, encoding");
/// While it joins.
pub const WIFI_JOIN: Figure = assumed(
    "Pico W: joining Wi-Fi",
    70.0,
    "mA",
    "the mean of scanning, WPA2 and DHCP: 40 mA of listening, short peaks of 300 mA",
);
/// How long.
pub const WIFI_JOIN_TIME: Figure = assumed(
    "Pico W: joining Wi-Fi, with DHCP",
    3_000.0,
    "ms",
    "loading the radio's firmware takes one of the three seconds",
);
/// TCP, MQTT CONNECT, PUBLISH and its acknowledgement.
pub const WIFI_SEND: Figure =
    assumed("Pico W: MQTT connection and a report", 60.0, "mA", "mostly waiting for answers");
/// How long.
pub const WIFI_SEND_TIME: Figure = assumed(
    "Pico W: MQTT connection and a report, time",
    300.0,
    "ms",
    "six round trips in a building; a payload of some bytes changes nothing",
);

/// All of them.
pub const ALL: &[Figure] = &[
    SUPPLY,
    SENSOR_SLEEP,
    SENSOR,
    SENSOR_TIME,
    BOARD,
    LORA_SLEEP,
    LORA_CPU,
    LORA_CPU_TIME,
    LORA_TRANSMIT,
    LORA_TRANSMIT_HIGH,
    LORA_RECEIVE,
    LORA_WINDOW,
    BLE_SLEEP,
    BLE_TRANSMIT,
    BLE_CPU,
    BLE_CPU_TIME,
    BLE_MEASURE_TIME,
    BLE_EVENTS,
    WIFI_SLEEP,
    WIFI_CPU,
    WIFI_MEASURE_TIME,
    WIFI_JOIN,
    WIFI_JOIN_TIME,
    WIFI_SEND,
    WIFI_SEND_TIME,
];

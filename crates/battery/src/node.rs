//! What a report costs a node of ours by each link, and what load that makes at an interval. The numbers are [`figures`].

use std::time::Duration;

use crate::lora::{self, SpreadingFactor};
use crate::{Error, Load, State, figures};

/// How long the data of a legacy advertisement may be: Bluetooth Core, volume 6, part B, section 2.3.1.
pub const MAX_ADVERTISEMENT: usize = 31;

/// How often a BLE node advertises each report, unless it says otherwise.
pub const ADVERTISING_EVENTS: u32 = figures::BLE_EVENTS.value as u32;

/// What a packet on an advertising channel has beside its data: preamble 1, access address 4, header 2, address 6, CRC 3.
const ADVERTISEMENT_OVERHEAD: usize = 16;
/// At 1 Mbit/s.
const BYTE_MILLIS: f64 = 0.008;
const CHANNELS: f64 = 3.0;

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What the node does.
    pub name: &'static str,
    /// The current meanwhile.
    pub milliamps: f64,
    /// How long, a report.
    pub seconds: f64,
}

/// A node that sleeps, and wakes for each report.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    sleep: f64,
    measure: Phase,
    send: Vec<Phase>,
}

impl Node {
    /// An STM32WL that sends unconfirmed uplinks of so many bytes and gets no downlink.
    ///
    /// # Errors
    /// If the payload is longer than this spreading factor allows.
    pub fn lorawan(factor: SpreadingFactor, payload: usize) -> Result<Self, Error> {
        let airtime = lora::airtime(factor, payload)?.as_secs_f64();
        let symbols = (factor.symbol() + SpreadingFactor::SLOWEST.symbol()).as_secs_f64();
        let send = vec![
            phase("send", figures::LORA_TRANSMIT.value, airtime),
            phase("listen", figures::LORA_RECEIVE.value, figures::LORA_WINDOW.value * symbols),
        ];
        let awake = figures::LORA_CPU_TIME.value;
        Ok(Self::new(figures::LORA_SLEEP.value, figures::LORA_CPU.value, awake, send))
    }

    /// An nRF52840 that advertises so many bytes in each of some events, on all three channels.
    ///
    /// # Errors
    /// If a legacy advertisement cannot hold them.
    pub fn ble(bytes: usize, events: u32) -> Result<Self, Error> {
        if bytes > MAX_ADVERTISEMENT {
            let link = "in a legacy advertisement".to_owned();
            return Err(Error::Payload { bytes, most: MAX_ADVERTISEMENT, link });
        }
        let length = u32::try_from(bytes + ADVERTISEMENT_OVERHEAD).unwrap_or(u32::MAX);
        let events = f64::from(events);
        let on_air = f64::from(length) * BYTE_MILLIS * CHANNELS / 1_000.0;
        let around = figures::BLE_CPU_TIME.value / 1_000.0;
        let send = vec![
            phase("send", figures::BLE_TRANSMIT.value, events * on_air),
            phase("advertise", figures::BLE_CPU.value, events * around),
        ];
        let awake = figures::BLE_MEASURE_TIME.value;
        Ok(Self::new(figures::BLE_SLEEP.value, figures::BLE_CPU.value, awake, send))
    }

    /// A Pico W that joins Wi-Fi for each report, sends it over MQTT and leaves.
    #[must_use]
    pub fn wifi() -> Self {
        let send = vec![
            phase("join", figures::WIFI_JOIN.value, figures::WIFI_JOIN_TIME.value / 1_000.0),
            phase("send", figures::WIFI_SEND.value, figures::WIFI_SEND_TIME.value / 1_000.0),
        ];
        let awake = figures::WIFI_MEASURE_TIME.value;
        Self::new(figures::WIFI_SLEEP.value, figures::WIFI_CPU.value, awake, send)
    }

    fn new(sleep: f64, cpu: f64, awake: f64, send: Vec<Phase>) -> Self {
        // The processor sleeps through none of the measurement: it is short.
        let mean = cpu + figures::SENSOR.value * figures::SENSOR_TIME.value / awake;
        Self { sleep: sleep + asleep(), measure: phase("measure", mean, awake / 1_000.0), send }
    }

    /// As this one, but each report carries so many measurements.
    #[must_use]
    pub fn measuring(mut self, times: u32) -> Self {
        self.measure.seconds *= f64::from(times);
        self
    }

    /// As this one, but it sends with so many mA.
    #[must_use]
    pub fn sending_at(mut self, milliamps: f64) -> Self {
        for phase in self.send.iter_mut().filter(|phase| phase.name == "send") {
            phase.milliamps = milliamps;
        }
        self
    }

    fn phases(&self) -> impl Iterator<Item = &Phase> {
        std::iter::once(&self.measure).chain(&self.send)
    }

    /// What a report costs, beside sleep, in mC (mA·s).
    #[must_use]
    pub fn charge(&self) -> f64 {
        self.phases().map(|phase| phase.milliamps * phase.seconds).sum()
    }

    /// What a report costs, beside sleep, in mJ.
    #[must_use]
    pub fn energy(&self) -> f64 {
        self.charge() * figures::SUPPLY.value
    }

    /// Its load with a report at each interval.
    ///
    /// # Errors
    /// If a report takes longer than the interval.
    pub fn load(&self, interval: Duration) -> Result<Load, Error> {
        let interval = interval.as_secs_f64();
        let active: f64 = self.phases().map(|phase| phase.seconds).sum();
        if active > interval {
            return Err(Error::Interval { active, interval });
        }
        let percent = |seconds: f64| 100.0 * seconds / interval;
        let sleep = State::new("sleep", self.sleep, percent(interval - active));
        let others = self.phases().map(|it| State::new(it.name, it.milliamps, percent(it.seconds)));
        Load::new(std::iter::once(sleep).chain(others).collect::<Result<_, _>>()?)
    }
}

/// What sensor and board take while the node sleeps, in mA.
const fn asleep() -> f64 {
    figures::SENSOR_SLEEP.value + figures::BOARD.value
}

const fn phase(name: &'static str, milliamps: f64, seconds: f64) -> Phase {
    Phase { name, milliamps, seconds }
}

//! Sensors of a room: temperature and humidity that wander, a battery that empties slowly; on request a count of measurements.

use node_core::wire::{Channel, Quantity, Reading};
use node_core::{Readings, Sensors};

pub(crate) struct SimSensors {
    temperature: f64,
    humidity: f64,
    battery: f64,
    measured: Option<i64>,
}

impl SimSensors {
    pub(crate) fn new(count: bool) -> Self {
        Self { temperature: 2150.0, humidity: 4500.0, battery: 100.0, measured: count.then_some(0) }
    }
}

impl Sensors for SimSensors {
    async fn measure(&mut self, readings: &mut Readings) {
        // Towards the middle, by chance.
        self.temperature += (2150.0 - self.temperature) * 0.05 + (rand::random::<f64>() - 0.5) * 40.0;
        self.humidity += (4500.0 - self.humidity) * 0.05 + (rand::random::<f64>() - 0.5) * 200.0;
        self.battery = (self.battery - 0.001).max(1.0);
        let mut values = vec![
            (Quantity::Temperature, self.temperature as i64),
            (Quantity::Humidity, self.humidity as i64),
            (Quantity::Battery, self.battery as i64),
        ];
        if let Some(measured) = &mut self.measured {
            *measured += 1;
            values.push((Quantity::Count, *measured));
        }
        let readings_of = |(quantity, raw)| Reading { quantity, channel: Channel::FIRST, raw: Some(raw) };
        readings.extend(values.into_iter().map(readings_of));
    }
}

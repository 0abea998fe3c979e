//! The building's devices as Bluetooth sensors: they advertise in BTHome 2 to a simulated radio.
//!
//! Source: bthome.io/format (object ids).

use std::sync::Arc;

use ble_link::{ScanResult, SimulatedRadio};
use gateway_core::ports::Clock;
use tokio_util::sync::CancellationToken;

use crate::Building;
use crate::device::{Sample, Value};
use crate::load::{Load, Sent, SimulateError, Turns};

const BTHOME: u128 = 0x0000_fcd2_0000_1000_8000_0080_5f9b_34fb;
/// Version 2, not encrypted.
const DEVICE_INFORMATION: u8 = 0x40;
const PACKET_ID: u8 = 0x00;

/// The address of a device by its index; locally administered, so no real device has it.
#[must_use]
pub fn address(device: usize) -> String {
    let [.., high, low] = device.to_be_bytes();
    format!("C2:00:00:00:{high:02X}:{low:02X}")
}

/// Advertises until the time is up or `stop` is cancelled. Only advertisements with a listener count as sent.
///
/// # Errors
/// Where `load.rate` is not a number above 0.
pub async fn send(
    radio: &SimulatedRadio,
    mut building: Building,
    load: Load,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Sent, SimulateError> {
    let mut turns = Turns::new(load.check()?);
    let mut sent = Sent::default();
    let mut next = 0;
    while !turns.over() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = turns.tick() => {}
        }
        for _ in 0..turns.due(usize::MAX) {
            let device = next;
            next = (next + 1) % building.len().max(1);
            let Some((_, sample)) = building.sample(device, clock.now()) else { continue };
            if radio.advertise(advertisement(device, &sample)) {
                sent.messages += 1;
                sent.readings += u64::from(sample.readings());
            }
        }
    }
    Ok(sent)
}

fn advertisement(device: usize, sample: &Sample) -> ScanResult {
    let [packet, ..] = sample.turn.to_le_bytes();
    let mut data = vec![DEVICE_INFORMATION, PACKET_ID, packet];
    sample.values.iter().for_each(|(metric, value)| object(metric, *value, &mut data));
    if sample.cut {
        data.truncate(data.len().saturating_sub(1));
    }
    ScanResult {
        address: address(device).into(),
        rssi: Some(-60),
        name: None,
        services: Arc::new([]),
        service_data: vec![(BTHOME, data)],
        manufacturer_data: Vec::new(),
    }
}

/// Adds a value as an object: its id, and the number with the factor and length of that id. Metrics without an id are left
/// out.
fn object(metric: &str, value: Value, data: &mut Vec<u8>) {
    let (id, bytes, per) = match metric {
        "battery" => (0x01, 1, 1.0),
        "temperature" => (0x02, 2, 100.0),
        "humidity" => (0x03, 2, 100.0),
        "pressure" => (0x04, 3, 100.0),
        "illuminance" => (0x05, 3, 100.0),
        "energy" => (0x0a, 3, 1000.0),
        "power" => (0x0b, 3, 100.0),
        "co2" => (0x12, 2, 1.0),
        "occupancy" => (0x21, 1, 1.0),
        _ => return,
    };
    let number = match value {
        Value::Number(number, _) => number,
        Value::Boolean(on) => f64::from(u8::from(on)),
    };
    data.push(id);
    // Two's complement, cut to its length.
    data.extend(((number * per).round() as i64).to_le_bytes().into_iter().take(bytes));
}

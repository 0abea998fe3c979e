//! SwitchBot's devices that measure.

use super::super::readings::Readings;
use super::super::{BleProblem, Bytes};
use super::DeviceData;

type Read = Result<(), BleProblem>;

/// More than the sensor of a Meter Pro CO2 can tell: a packet in the middle of a change.
const MOST_CO2: u16 = 9999;
/// Light levels of a Hub 2 from 1 on, in lx.
const LUX: [u16; 21] =
    [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 105, 205, 317, 416, 510, 610, 707, 801, 897, 1023, 1091];
/// … and of a Hub 3.
const LUX_3: [u16; 10] = [0, 50, 90, 205, 317, 510, 610, 707, 801, 1023];

/// Tenths in the low half of the first byte; sign (1 above zero) and degrees; humidity.
fn climate(data: Bytes<'_>, out: &mut Readings<'_>) -> Read {
    let (temperature, humidity) = (signed(data.u8(1)?, data.u8(0)? & 0x0f), data.u8(2)? & 0x7f);
    // Before its first measurement a device sends zeros.
    if data.part(0, 3)?.0.iter().any(|byte| *byte != 0) {
        out.measure("temperature", temperature);
        out.measure("humidity", f64::from(humidity));
    }
    Ok(())
}

fn signed(degrees: u8, tenths: u8) -> f64 {
    let value = f64::from(u16::from(degrees & 0x7f) * 10 + u16::from(tenths)) / 10.0;
    if degrees & 0x80 == 0 { -value } else { value }
}

pub(super) fn meter(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let values = match device.maker(11) {
        Some(maker) => maker.from(8)?,
        None => device.service.from(3)?,
    };
    climate(values, out)?;
    device.battery(out);
    Ok(())
}

pub(super) fn meter_co2(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    meter(device, out)?;
    if let Some(maker) = device.maker(15) {
        let co2 = maker.u16_be(13)?;
        if co2 <= MOST_CO2 {
            out.measure("co2", f64::from(co2));
        }
    }
    Ok(())
}

pub(super) fn weather(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(11).ok_or(BleProblem::TooShort)?;
    climate(maker.from(8)?, out)?;
    out.measure("battery", f64::from(maker.u8(7)? & 0x7f));
    Ok(())
}

pub(super) fn contact(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    // Bits: somebody moves, bright, open for too long, open.
    let (moves, bright, left_open, open, presses) = match device.maker(13) {
        Some(maker) => {
            let flags = maker.u8(7)?;
            (flags >> 7, flags >> 6 & 1, flags >> 5 & 1, flags >> 4 & 1, maker.u8(12)?)
        }
        None => {
            let flags = device.service.at_least(9)?.u8(3)?;
            (device.service.u8(1)? >> 6 & 1, flags & 1, flags >> 2 & 1, flags >> 1 & 1, device.service.u8(8)?)
        }
    };
    out.state("contact", open == 0 && left_open == 0);
    out.state("occupancy", moves == 1);
    out.state("light", bright == 1);
    out.measure("presses", f64::from(presses & 0x0f));
    device.battery(out);
    Ok(())
}

pub(super) fn motion(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let (moves, bright) = match device.maker(8) {
        Some(maker) => (maker.u8(7)? >> 6 & 1, maker.u8(7)? >> 5 & 1),
        None => (device.service.at_least(6)?.u8(1)? >> 6 & 1, device.service.u8(5)? >> 1 & 1),
    };
    out.state("occupancy", moves == 1);
    out.state("light", bright == 1);
    device.battery(out);
    Ok(())
}

pub(super) fn presence(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(12).ok_or(BleProblem::TooShort)?;
    out.state("occupancy", maker.u8(7)? & 0x40 != 0);
    out.measure("light_level", f64::from(maker.u8(11)? & 0x1f));
    device.battery(out);
    Ok(())
}

pub(super) fn leak(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(9).ok_or(BleProblem::TooShort)?;
    let (battery, flags) = (maker.u8(7)?, maker.u8(8)?);
    out.state("water_leak", flags & 1 != 0);
    out.state("tamper", flags & 2 != 0);
    out.measure("battery", f64::from(battery & 0x7f));
    out.state("battery_low", battery & 0x80 != 0);
    Ok(())
}

pub(super) fn hub(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(16).ok_or(BleProblem::TooShort)?;
    climate(maker.from(13)?, out)?;
    if device.service.u8(0)? & 0x7f != b'%' {
        let level = usize::from(maker.u8(12)? & 0x1f);
        illuminance(&LUX, level, out);
    }
    Ok(())
}

pub(super) fn hub_3(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(17).ok_or(BleProblem::TooShort)?;
    let status = maker.u8(12)?;
    illuminance(&LUX_3, usize::from(status & 0x0f), out);
    out.state("occupancy", maker.u8(16)? & 0x80 != 0);
    let is_plugged_in = status & 0x20 == 0;
    if is_plugged_in { climate(maker.from(13)?, out) } else { Ok(()) }
}

fn illuminance(scale: &[u16], level: usize, out: &mut Readings<'_>) {
    let lux = level.checked_sub(1).and_then(|index| scale.get(index).or(scale.last()));
    out.measure("illuminance", f64::from(lux.copied().unwrap_or_default()));
}

pub(super) fn climate_panel(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(16).ok_or(BleProblem::TooShort)?;
    climate(maker.from(8)?, out)?;
    out.measure("battery", f64::from(maker.u8(7)? & 0x7f));
    out.state("occupancy", maker.u8(15)? & 0x80 != 0);
    Ok(())
}

pub(super) fn radiator(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(13).ok_or(BleProblem::TooShort)?;
    let tenths = maker.u8(8)?;
    out.state("heating", maker.u8(7)? & 0x80 != 0);
    out.measure("battery", f64::from(maker.u8(7)? & 0x7f));
    out.measure("temperature", signed(maker.u8(9)?, tenths & 0x0f));
    out.measure("heating_setpoint", signed(maker.u8(10)?, tenths >> 4));
    out.state("window_open", maker.u8(12)? & 1 != 0);
    Ok(())
}

pub(super) fn humidifier(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(17).ok_or(BleProblem::TooShort)?;
    out.state("power_on", maker.u8(7)? & 0x80 != 0);
    let humidity = maker.u8(9)?;
    // Of a meter that it is bound to, where it is.
    if humidity & 0x80 != 0 && humidity & 0x7f <= 100 {
        out.measure("humidity", f64::from(humidity & 0x7f));
        out.measure("temperature", signed(maker.u8(10)?, maker.u8(11)? >> 4));
    }
    out.measure("humidity_setpoint", f64::from(maker.u8(16)? & 0x7f));
    Ok(())
}

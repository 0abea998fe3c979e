//! SwitchBot's devices that act: covers, switches and locks.

use super::super::BleProblem;
use super::super::readings::Readings;
use super::DeviceData;

type Read = Result<(), BleProblem>;

/// `position` counts as zigbee2mqtt's: 100 is open.
fn cover(position: u8, moving: bool, out: &mut Readings<'_>) {
    out.measure("position", 100.0 - f64::from(position & 0x7f).min(100.0));
    out.state("moving", moving);
}

pub(super) fn curtain(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let (data, battery) = match (device.maker(13), device.maker(11)) {
        // Curtain 3 tells its battery itself.
        (Some(maker), _) => (maker.from(8)?, maker.u8(12).ok()),
        (None, Some(maker)) => (maker.from(8)?, None),
        (None, None) => (device.service.at_least(6)?.from(3)?, None),
    };
    let position = data.u8(0)?;
    cover(position, position & 0x80 != 0, out);
    out.measure("light_level", f64::from(data.u8(1)? >> 4));
    match battery {
        Some(battery) => out.measure("battery", f64::from(battery & 0x7f)),
        None => device.battery(out),
    }
    Ok(())
}

pub(super) fn blind(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(10).ok_or(BleProblem::TooShort)?;
    let tilt = maker.u8(8)?;
    out.measure("tilt", f64::from(tilt & 0x7f).min(100.0));
    out.state("moving", tilt & 0x80 != 0);
    out.measure("light_level", f64::from(maker.u8(9)? >> 4));
    device.battery(out);
    Ok(())
}

pub(super) fn shade(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(10).ok_or(BleProblem::TooShort)?;
    cover(maker.u8(8)?, maker.u8(7)? & 0x06 != 0, out);
    out.measure("light_level", f64::from(maker.u8(9)? >> 4));
    device.battery(out);
    Ok(())
}

/// Only one that is set up as a switch has a state: bit 6 is 0 while it is on.
pub(super) fn bot(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let flags = device.service.u8(1)?;
    if flags & 0x80 != 0 {
        out.state("state", flags & 0x40 == 0);
    }
    device.battery(out);
    Ok(())
}

pub(super) fn plug(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(12).ok_or(BleProblem::TooShort)?;
    out.state("state", maker.u8(7)? == 0x80);
    out.measure("power", f64::from(maker.u16_be(10)? & 0x7fff) / 10.0);
    Ok(())
}

pub(super) fn relay(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(8).ok_or(BleProblem::TooShort)?;
    out.state("state", maker.u8(7)? & 0x80 != 0);
    Ok(())
}

pub(super) fn relay_with_power(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    relay(device, out)?;
    let maker = device.maker(12).ok_or(BleProblem::TooShort)?;
    out.measure("power", f64::from(maker.u16_be(10)?));
    Ok(())
}

pub(super) fn two_relays(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(14).ok_or(BleProblem::TooShort)?;
    let flags = maker.u8(7)?;
    out.state("state_1", flags & 0x80 != 0);
    out.state("state_2", flags & 0x40 != 0);
    out.measure_of("power", 1, f64::from(maker.u16_be(10)?));
    out.measure_of("power", 2, f64::from(maker.u16_be(12)?));
    Ok(())
}

pub(super) fn garage(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    relay(device, out)?;
    let maker = device.maker(8).ok_or(BleProblem::TooShort)?;
    out.state("contact", maker.u8(7)? & 0x20 != 0);
    Ok(())
}

/// `lock` is 1 while the bolt is open. Locks tell 0 locked, 1 unlocked, and others in between.
const UNLOCKED: u8 = 1;

pub(super) fn lock(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(9).ok_or(BleProblem::TooShort)?;
    let state = maker.u8(7)? >> 4 & 0x07;
    out.state("lock", state == UNLOCKED);
    out.note("lock_state", state);
    if device.service.u8(0)? & 0x7f == b'o' {
        out.state("contact", maker.u8(7)? & 0x04 == 0);
    }
    device.battery(out);
    Ok(())
}

pub(super) fn lock_pro(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(12).ok_or(BleProblem::TooShort)?;
    let state = maker.u8(7)? >> 3 & 0x0f;
    out.state("lock", state == UNLOCKED);
    out.note("lock_state", state);
    out.state("contact", maker.u8(8)? & 0x10 == 0);
    out.measure("battery", f64::from(maker.u8(9)? & 0x7f));
    Ok(())
}

pub(super) fn light(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(8).ok_or(BleProblem::TooShort)?;
    let byte = maker.u8(7)?;
    out.state("state", byte & 0x80 != 0);
    out.measure_in("brightness", f64::from(byte & 0x7f), "/100");
    Ok(())
}

pub(super) fn fan(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    relay(device, out)?;
    battery_at(8, device, out)
}

pub(super) fn humidifier(device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    out.state("state", device.service.u8(1)? != 0);
    Ok(())
}

/// Devices that say nothing else that could be measured.
pub(super) fn battery_at(at: usize, device: DeviceData<'_>, out: &mut Readings<'_>) -> Read {
    let maker = device.maker(at + 1).ok_or(BleProblem::TooShort)?;
    out.measure("battery", f64::from(maker.u8(at)? & 0x7f));
    Ok(())
}

//! Buttons of MiBeacon: object 0x1001 of the older models, and the events of the newer ones.

use super::super::readings::Readings;
use super::super::{BleProblem, Bytes};

/// Object 0x1001: which button, a value, and how it was pressed.
pub(super) fn press(data: Bytes<'_>, model: &str, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let [button, value, how] = data.array(0)?;
    match model {
        "XMMF01JQD" => match button {
            0 => out.event("", "rotate_right"),
            1 => out.event("", "rotate_left"),
            _ => {}
        },
        "YLKG07YL/YLKG08YL" => dimmer(button, value, how, out),
        "K9B-1BTN" | "K9B-2BTN" | "K9B-3BTN" => switch(button, how, model, out),
        _ => {
            let what = ["single", "double", "long", "single", "rotate_right", "single", "long"];
            if let Some(what) = what.get(usize::from(how)) {
                let which = remote(model).get(usize::from(button)).copied().unwrap_or_default();
                out.event(which, what);
            }
        }
    }
    Ok(())
}

/// The names that are printed on a remote control.
fn remote(model: &str) -> &'static [&'static str] {
    match model {
        "YLYK01YL" => &["on", "off", "brightness", "plus", "m", "minus"],
        "YLYK01YL-FANRC" | "YLYK01YL-FANCL" => {
            &["fan", "light", "wind_speed", "color_temperature", "wind_mode", "brightness"]
        }
        "YLYK01YL-VENFAN" => &["swing", "power", "timer_60", "speed_up", "timer_30", "speed_down"],
        "YLYB01YL-BHFRC" => {
            &["stop", "air_exchange", "fan", "speed_up", "speed_down", "dry", "light", "swing", "heat"]
        }
        _ => &[],
    }
}

/// Turned by so many steps, to the left below zero; pressed meanwhile it is the button's byte that counts them.
fn dimmer(button: u8, value: u8, how: u8, out: &mut Readings<'_>) {
    match (how, button) {
        (3, 0) => out.event("", "single"),
        (3, 1) => out.event("", "long"),
        (4, 0) => out.measure("dimmer", f64::from(value.cast_signed())),
        (4, _) => out.measure("dimmer_pressed", f64::from(button.cast_signed())),
        _ => {}
    }
}

/// One number stands for one button or several at once: the left one is in 0, 2 (of two) or 3, 5, 6 (of three).
fn switch(button: u8, how: u8, model: &str, out: &mut Readings<'_>) {
    let Some(what) = ["single", "long", "double"].get(usize::from(how)) else { return };
    let buttons: &[&str] = match (model, button) {
        ("K9B-1BTN", 0) => &[""],
        ("K9B-2BTN", 0) | ("K9B-3BTN", 0) => &["left"],
        ("K9B-2BTN", 1) => &["right"],
        ("K9B-2BTN", 2) => &["left", "right"],
        ("K9B-3BTN", 1) => &["middle"],
        ("K9B-3BTN", 2) => &["right"],
        ("K9B-3BTN", 3) => &["left", "middle"],
        ("K9B-3BTN", 4) => &["middle", "right"],
        ("K9B-3BTN", 5) => &["left", "right"],
        ("K9B-3BTN", 6) => &["left", "middle", "right"],
        _ => &[],
    };
    for which in buttons {
        out.event(which, what);
    }
}

/// Events 0x..0C, 0x..0D, 0x..0E: pressed once, twice, long. Some models send no data with them.
pub(super) fn pressed(id: u16, data: Bytes<'_>, model: &str, out: &mut Readings<'_>) {
    let what = match id & 0xff {
        0x0c => "single",
        0x0d => "double",
        _ => "long",
    };
    let button = data.u8(0).ok();
    match (model, button) {
        ("K9BB-1BTN", Some(8)) => out.event("", "long"),
        ("K9BB-1BTN", Some(15)) => out.event("", "double"),
        ("XMWS01XS", Some(0)) | ("XMWXKG01YL" | "KS1" | "KS1BP", Some(1)) => out.event("left", what),
        ("XMWS01XS", Some(1)) | ("XMWXKG01YL", Some(2)) | ("KS1" | "KS1BP", Some(4)) => {
            out.event("right", what);
        }
        ("KS1" | "KS1BP", Some(2)) => out.event("mid_left", what),
        ("KS1" | "KS1BP", Some(3)) => out.event("mid_right", what),
        ("XMWXKG01YL", Some(3)) => {
            out.event("left", what);
            out.event("right", what);
        }
        _ => out.event("", what),
    }
}

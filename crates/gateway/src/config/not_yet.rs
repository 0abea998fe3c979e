//! What Riser's documents promise and this version does not have: an honest word instead of "unknown key".
//!
//! Who adds the feature removes its line here.

use super::key_path::KeyPath;

const ADAPTERS: &str = "it has: mqtt, coap, lorawan";
const DEVICES: &str = "it has: address, zone, codec, lorawan, rename, calibrate";

/// Tables and keys; `*` is any name.
const KEYS: &[(&str, &str, &str)] = &[
    ("adapters.ble", "`ble` adapter", ADAPTERS),
    ("adapters.serial", "`serial` adapter", ADAPTERS),
    ("adapters.tcp", "`tcp` adapter", ADAPTERS),
    ("devices.*.commands", "commands to devices (`commands`)", DEVICES),
    ("devices.*.bindkey_file", "Bluetooth (`bindkey_file`)", DEVICES),
    ("sinks", "further sinks (`sinks`)", "results go to [upstream]"),
    ("http", "dashboard or API (`http`)", "`riser tail` follows a running gateway"),
];

/// Values of keys; `*` is any name.
const VALUES: &[(&str, &str, &str)] =
    &[("upstream.format", "senml", "it has: json"), ("upstream.format", "sparkplug", "it has: json")];

/// Formats and codecs of other versions.
const CODECS: &[&str] = &["bthome"];

/// What to say of a key that is promised and not there yet.
pub(crate) fn key(path: &KeyPath) -> Option<String> {
    let (_, what, instead) = KEYS.iter().find(|(pattern, ..)| path.matches(pattern))?;
    Some(format!("this version of riser has no {what} yet; {instead}"))
}

/// What to say of a value that is promised and not there yet.
pub(crate) fn value(path: &KeyPath, value: &str) -> Option<String> {
    let (_, what, instead) =
        VALUES.iter().find(|(pattern, word, _)| *word == value && path.matches(pattern))?;
    Some(format!("this version of riser has no `{what}` yet; {instead}"))
}

/// What to say of a codec that is promised and not there yet.
pub(crate) fn codec(name: &str) -> Option<String> {
    let has = codecs::Codec::NAMES.join(", ");
    CODECS.contains(&name).then(|| format!("this version of riser has no codec `{name}` yet; it has: {has}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_there_instead() {
        assert_eq!(
            key(&KeyPath::of("adapters.ble")).unwrap(),
            "this version of riser has no `ble` adapter yet; it has: mqtt, coap, lorawan"
        );
        assert!(key(&KeyPath::of("devices.lounge.bindkey_file")).is_some());
        assert!(key(&KeyPath::of("adapters.mqtt")).is_none());
        assert!(value(&KeyPath::of("upstream.format"), "senml").is_some());
        assert!(value(&KeyPath::of("upstream.format"), "json").is_none());
        assert!(codec("bthome").is_some());
        assert!(codec("json").is_none());
    }
}

//! Reads `lorawan` of `[devices.*]`, for the check and for the start.

use gateway_core::settings::Secret;
use lorawan_link::{Abp, Activation, Class, DevAddr, DeviceConfig, Eui, Key, Otaa, Region, RxParameters};

use super::config::{DeviceClass, LorawanDevice};

/// A problem of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key; empty for the table itself.
    pub key: &'static str,
    /// What is wrong, and what is allowed. Never shows a key.
    pub reason: String,
    /// Whether the key is missing.
    pub missing: bool,
}

/// Reads a table, or returns all its problems.
///
/// # Errors
/// See [`Problem`]. A key whose file could not be read is not reported again.
pub fn read(device: &LorawanDevice, region: Region) -> Result<DeviceConfig, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let dev_eui = reader.number::<Eui, _>("dev_eui", Some(&device.dev_eui));
    let activation = match (is_otaa(device), is_abp(device)) {
        (true, false) => reader.otaa(device).map(Activation::Otaa),
        (false, true) => reader.abp(device, region).map(Activation::Abp),
        (otaa, _) => {
            let what = if otaa { "has keys of both kinds" } else { "has no keys" };
            reader.wrong(
                "",
                format!(
                    "{what}; write join_eui and app_key (OTAA), or dev_addr, nwk_skey and app_skey (ABP)"
                ),
            );
            None
        }
    };
    let class = match device.class {
        DeviceClass::A => Class::A,
        DeviceClass::C => Class::C,
    };
    match (dev_eui, activation) {
        (Some(dev_eui), Some(activation)) if reader.problems.is_empty() => {
            Ok(DeviceConfig { dev_eui, activation, class })
        }
        _ => Err(reader.problems),
    }
}

fn is_otaa(device: &LorawanDevice) -> bool {
    device.join_eui.is_some() || device.app_key.is_some() || device.app_key_file.is_some()
}

fn is_abp(device: &LorawanDevice) -> bool {
    let keys = device.nwk_skey.is_some() || device.app_skey.is_some();
    let files = device.nwk_skey_file.is_some() || device.app_skey_file.is_some();
    device.dev_addr.is_some() || keys || files
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn otaa(&mut self, device: &LorawanDevice) -> Option<Otaa> {
        let join_eui = self.number("join_eui", device.join_eui.as_deref());
        let app_key =
            self.key(["app_key", "app_key_file"], device.app_key.as_ref(), device.app_key_file.is_some());
        let of_abp = [
            ("fcnt_up", device.fcnt_up.is_some()),
            ("resets", device.resets),
            ("rx_delay", device.rx_delay.is_some()),
        ];
        for (key, _) in of_abp.into_iter().filter(|(_, written)| *written) {
            self.wrong(key, "is for ABP only; a device that joins receives it in the join-accept".to_owned());
        }
        Some(Otaa { join_eui: join_eui?, app_key: app_key? })
    }

    fn abp(&mut self, device: &LorawanDevice, region: Region) -> Option<Abp> {
        let address = self.number::<DevAddr, _>("dev_addr", device.dev_addr.as_deref());
        let nwk_s_key =
            self.key(["nwk_skey", "nwk_skey_file"], device.nwk_skey.as_ref(), device.nwk_skey_file.is_some());
        let app_s_key =
            self.key(["app_skey", "app_skey_file"], device.app_skey.as_ref(), device.app_skey_file.is_some());
        let rx = device.rx_delay.map(|delay| RxParameters { delay, ..RxParameters::of(region) });
        Some(Abp {
            address: address?,
            nwk_s_key: nwk_s_key?,
            app_s_key: app_s_key?,
            // People write 0 for a new device, whose first frame has this counter and must be accepted.
            last_f_cnt_up: device.fcnt_up.filter(|last| *last > 0),
            rx,
            resets: device.resets,
        })
    }

    fn number<T: std::str::FromStr<Err = E>, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        text: Option<&str>,
    ) -> Option<T> {
        let Some(text) = text else {
            self.problems.push(Problem { key, reason: "missing".to_owned(), missing: true });
            return None;
        };
        text.parse().map_err(|error: E| self.wrong(key, error.to_string())).ok()
    }

    /// `names`: of the key itself and of its file.
    fn key(&mut self, names: [&'static str; 2], secret: Option<&Secret>, in_file: bool) -> Option<Key> {
        let [name, file] = names;
        match secret {
            Some(secret) => {
                let place = if in_file { file } else { name };
                secret
                    .expose()
                    .trim()
                    .parse::<Key>()
                    .map_err(|error| self.wrong(place, error.to_string()))
                    .ok()
            }
            None => {
                if !in_file {
                    let reason = format!("missing; write {file}, or {name}");
                    self.problems.push(Problem { key: name, reason, missing: true });
                }
                None
            }
        }
    }

    fn wrong(&mut self, key: &'static str, reason: String) {
        self.problems.push(Problem { key, reason, missing: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(abp: bool) -> LorawanDevice {
        let key = || Some(Secret::new("0123456789abcdef0123456789abcdef".to_owned()));
        let text = |text: &str| Some(text.to_owned());
        LorawanDevice {
            dev_eui: "A8-40-41-FF-FF-00-00-01".to_owned(),
            join_eui: if abp { None } else { text("70b3d57ed0000001") },
            app_key: if abp { None } else { key() },
            app_key_file: None,
            dev_addr: if abp { text("26011bda") } else { None },
            nwk_skey: if abp { key() } else { None },
            nwk_skey_file: None,
            app_skey: if abp { key() } else { None },
            app_skey_file: None,
            fcnt_up: None,
            resets: false,
            rx_delay: None,
            class: DeviceClass::A,
        }
    }

    fn problems(device: &LorawanDevice) -> Vec<(&'static str, bool)> {
        let problems = read(device, Region::Eu868).unwrap_err();
        problems.into_iter().map(|problem| (problem.key, problem.missing)).collect()
    }

    #[test]
    fn both_ways_to_a_session_are_read() {
        let otaa = read(&device(false), Region::Eu868).unwrap();
        assert_eq!(otaa.dev_eui.to_string(), "a84041ffff000001");
        assert!(matches!(otaa.activation, Activation::Otaa(_)));
        let late = LorawanDevice { rx_delay: Some(5), fcnt_up: Some(7), ..device(true) };
        let Activation::Abp(abp) = read(&late, Region::Eu868).unwrap().activation else { panic!("not ABP") };
        assert_eq!((abp.rx.map(|rx| rx.delay), abp.last_f_cnt_up), (Some(5), Some(7)));
        let new = LorawanDevice { fcnt_up: Some(0), ..device(true) };
        let Activation::Abp(abp) = read(&new, Region::Eu868).unwrap().activation else { panic!("not ABP") };
        assert_eq!(abp.last_f_cnt_up, None, "its first frame has the counter 0");
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_key_and_without_its_secret() {
        let mut otaa = device(false);
        otaa.app_key = None;
        otaa.join_eui = Some("7".to_owned());
        otaa.resets = true;
        assert_eq!(problems(&otaa), [("join_eui", false), ("app_key", true), ("resets", false)]);
        let mut abp = device(true);
        abp.dev_eui = String::new();
        abp.nwk_skey = None;
        abp.app_skey = Some(Secret::new("hunter2".to_owned()));
        assert_eq!(problems(&abp), [("dev_eui", false), ("nwk_skey", true), ("app_skey", false)]);
        assert!(!format!("{:?}", read(&abp, Region::Eu868)).contains("hunter2"));
        let both = LorawanDevice { dev_addr: Some("26011bda".to_owned()), ..device(false) };
        assert_eq!(problems(&both), [("", false)]);
        // The unreadable file is reported elsewhere.
        let file = LorawanDevice { app_key: None, app_key_file: Some("lounge.key".into()), ..device(false) };
        assert_eq!(problems(&file), []);
    }
}

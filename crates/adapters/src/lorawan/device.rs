//! `lorawan` of `[devices.*]` in the words of the network: read in one place, for the check and for the start.

use gateway_core::settings::Secret;
use lorawan_link::{Abp, Activation, Class, DevAddr, DeviceConfig, Eui, Key, Otaa, Region, RxParameters};

use super::config::{DeviceClass, LorawanDevice};

/// Something that is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key; empty for the table itself.
    pub key: &'static str,
    /// What is wrong, and what is allowed. Never shows a key.
    pub reason: String,
    /// The key is not there at all.
    pub missing: bool,
}

/// What the table says, or everything that is wrong with it.
///
/// # Errors
/// See [`Problem`]. A key whose file could not be read makes none: that is told already.
pub fn read(device: &LorawanDevice, region: Region) -> Result<DeviceConfig, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let dev_eui = reader.number::<Eui, _>("dev_eui", Some(&device.dev_eui));
    let activation = match (is_otaa(device), is_abp(device)) {
        (true, false) => reader.otaa(device).map(Activation::Otaa),
        (false, true) => reader.abp(device, region).map(Activation::Abp),
        (otaa, _) => {
            let what = if otaa { "has keys of both kinds" } else { "has no keys" };
            reader.wrong("", format!("{what}; write join_eui and app_key (OTAA), or dev_addr, nwk_skey and app_skey (ABP)"));
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
    let texts = [&device.dev_addr].into_iter().any(Option::is_some);
    let keys = [&device.nwk_skey, &device.app_skey].into_iter().any(Option::is_some);
    let files = [&device.nwk_skey_file, &device.app_skey_file].into_iter().any(Option::is_some);
    texts || keys || files
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn otaa(&mut self, device: &LorawanDevice) -> Option<Otaa> {
        let join_eui = self.number("join_eui", device.join_eui.as_deref());
        let app_key = self.key(["app_key", "app_key_file"], device.app_key.as_ref(), device.app_key_file.is_some());
        let of_abp = [
            ("fcnt_up", device.fcnt_up.is_some()),
            ("resets", device.resets),
            ("rx_delay", device.rx_delay.is_some()),
        ];
        for (key, _) in of_abp.into_iter().filter(|(_, written)| *written) {
            self.wrong(key, "is for ABP; a device that joins is told it".to_owned());
        }
        Some(Otaa { join_eui: join_eui?, app_key: app_key? })
    }

    fn abp(&mut self, device: &LorawanDevice, region: Region) -> Option<Abp> {
        let address = self.number::<DevAddr, _>("dev_addr", device.dev_addr.as_deref());
        let nwk_s_key = self.key(["nwk_skey", "nwk_skey_file"], device.nwk_skey.as_ref(), device.nwk_skey_file.is_some());
        let app_s_key = self.key(["app_skey", "app_skey_file"], device.app_skey.as_ref(), device.app_skey_file.is_some());
        let rx = device.rx_delay.map(|delay| RxParameters { delay, ..RxParameters::of(region) });
        Some(Abp {
            address: address?,
            nwk_s_key: nwk_s_key?,
            app_s_key: app_s_key?,
            last_f_cnt_up: device.fcnt_up,
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
                secret.expose().trim().parse::<Key>().map_err(|error| self.wrong(place, error.to_string())).ok()
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

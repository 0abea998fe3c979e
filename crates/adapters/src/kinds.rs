//! The kinds of adapters that there are: the only list of them.

use std::marker::PhantomData;

use gateway_core::findings::KeyPath;

use crate::adapters::{KindInfo, Registered};
#[cfg(feature = "ble")]
use crate::ble;
#[cfg(feature = "coap")]
use crate::coap;
#[cfg(feature = "lorawan")]
use crate::lorawan;
use crate::{mqtt, serial, tcp};

/// Every kind that this program was built with, in the order of the reference.
#[must_use]
pub fn all() -> &'static [&'static dyn KindInfo] {
    &[
        &Registered::<mqtt::Mqtt>(PhantomData),
        #[cfg(feature = "coap")]
        &Registered::<coap::Coap>(PhantomData),
        #[cfg(feature = "lorawan")]
        &Registered::<lorawan::Lorawan>(PhantomData),
        #[cfg(feature = "ble")]
        &Registered::<ble::Ble>(PhantomData),
        &Registered::<serial::Serial>(PhantomData),
        &Registered::<tcp::Tcp>(PhantomData),
    ]
}

/// A kind that is a cargo feature of the same name.
struct Optional {
    name: &'static str,
    label: &'static str,
    built: bool,
    /// The keys of `gateway.toml` that only this kind reads; `*` is any name.
    keys: &'static [&'static str],
}

const OPTIONAL: &[Optional] = &[
    Optional {
        name: "coap",
        label: "CoAP",
        built: cfg!(feature = "coap"),
        keys: &[
            "adapters.coap",
            "alerts.*.actions.*.url",
            "alerts.*.actions.*.method",
            "alerts.*.actions.*.format",
        ],
    },
    Optional {
        name: "lorawan",
        label: "LoRaWAN",
        built: cfg!(feature = "lorawan"),
        keys: &["adapters.lorawan", "devices.*.lorawan"],
    },
    Optional {
        name: "ble",
        label: "Bluetooth",
        built: cfg!(feature = "ble"),
        keys: &[
            "adapters.ble",
            "devices.*.bindkey",
            "devices.*.bindkey_file",
            "alerts.*.actions.*.characteristic",
        ],
    },
];

/// What to say of a key that belongs to a kind which this program was built without.
#[must_use]
pub fn left_out(path: &KeyPath) -> Option<String> {
    OPTIONAL.iter().filter(|kind| !kind.built).find_map(|kind| kind.refusal(path))
}

impl Optional {
    fn refusal(&self, path: &KeyPath) -> Option<String> {
        let own = self.keys.iter().any(|key| path.matches(key));
        own.then(|| gateway_core::left_out(self.label, self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_kind_is_in_the_list_or_named_as_left_out() {
        for kind in OPTIONAL {
            let is_there = all().iter().any(|known| known.name() == kind.name);
            assert_eq!(is_there, kind.built, "{}", kind.name);
            let table = KeyPath::of("adapters").key(kind.name);
            assert_eq!(left_out(&table).is_none(), kind.built, "{table}");
        }
    }

    #[test]
    fn every_key_that_only_an_optional_kind_reads_is_refused_with_the_kinds_name() {
        for kind in OPTIONAL {
            let Some(info) = all().iter().find(|known| known.name() == kind.name) else { continue };
            let others = || all().iter().filter(|known| known.name() != kind.name);
            let device = |kind: &dyn KindInfo| kind.device_keys().fields.to_vec();
            let target = |kind: &dyn KindInfo| -> Vec<&str> {
                let types = kind.table_types().into_iter().filter(|table| table.name == "TargetKeys");
                types.flat_map(|table| table.fields.to_vec()).collect()
            };
            let table = KeyPath::of("devices").key("lounge");
            for field in device(*info).iter().filter(|field| !others().any(|it| device(*it).contains(field)))
            {
                assert!(kind.refusal(&table.key(field)).is_some(), "{field} of devices is not in OPTIONAL");
            }
            let table = KeyPath::of("alerts").key("hot").key("actions").index(0);
            for field in target(*info).iter().filter(|field| !others().any(|it| target(*it).contains(field)))
            {
                assert!(kind.refusal(&table.key(field)).is_some(), "{field} of actions is not in OPTIONAL");
            }
        }
    }
}

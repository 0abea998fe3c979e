//! The kinds of sinks that there are: the only list of them.

use std::marker::PhantomData;

use gateway_core::findings::KeyPath;

#[cfg(feature = "sink-kafka")]
use crate::kafka;
#[cfg(feature = "sink-mongodb")]
use crate::mongodb;
#[cfg(feature = "sink-nats")]
use crate::nats;
#[cfg(feature = "sink-postgres")]
use crate::postgres;
use crate::sinks::{KindInfo, Registered};
use crate::{file, http, influxdb};

/// Every kind that this program was built with, in the order of the reference.
#[must_use]
pub fn all() -> &'static [&'static dyn KindInfo] {
    &[
        &Registered::<influxdb::Influxdb>(PhantomData),
        #[cfg(feature = "sink-mongodb")]
        &Registered::<mongodb::Mongodb>(PhantomData),
        #[cfg(feature = "sink-postgres")]
        &Registered::<postgres::Postgres>(PhantomData),
        #[cfg(feature = "sink-nats")]
        &Registered::<nats::Nats>(PhantomData),
        #[cfg(feature = "sink-kafka")]
        &Registered::<kafka::Kafka>(PhantomData),
        &Registered::<http::Http>(PhantomData),
        &Registered::<file::FileKind>(PhantomData),
    ]
}

/// A kind that is the cargo feature `sink-<name>`.
struct Optional {
    name: &'static str,
    label: &'static str,
    feature: &'static str,
    built: bool,
}

const OPTIONAL: &[Optional] = &[
    Optional { name: "kafka", label: "Kafka", feature: "sink-kafka", built: cfg!(feature = "sink-kafka") },
    Optional {
        name: "mongodb",
        label: "MongoDB",
        feature: "sink-mongodb",
        built: cfg!(feature = "sink-mongodb"),
    },
    Optional { name: "nats", label: "NATS", feature: "sink-nats", built: cfg!(feature = "sink-nats") },
    Optional {
        name: "postgres",
        label: "PostgreSQL",
        feature: "sink-postgres",
        built: cfg!(feature = "sink-postgres"),
    },
];

/// What to say of a table of a kind which this program was built without.
#[must_use]
pub fn left_out(path: &KeyPath) -> Option<String> {
    let is_it = |kind: &&Optional| !kind.built && *path == KeyPath::of("sinks").key(kind.name);
    OPTIONAL.iter().find(is_it).map(|kind| gateway_core::left_out(kind.label, kind.feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_kind_is_in_the_list_or_named_as_left_out() {
        for kind in OPTIONAL {
            let is_there = all().iter().any(|known| known.name() == kind.name);
            assert_eq!(is_there, kind.built, "{}", kind.name);
            let table = KeyPath::of("sinks").key(kind.name);
            assert_eq!(left_out(&table).is_none(), kind.built, "{table}");
        }
    }
}

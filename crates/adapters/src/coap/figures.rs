//! The counters of a CoAP adapter for `health`.

use std::collections::BTreeMap;

use coap_link::{Engine, dtls};

use super::socket::CoapListener;

/// The server's own counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) reports: u64,
    pub(super) no_room: u64,
    /// Truncated lists of `/.well-known/core`.
    pub(super) cut_lists: u64,
    /// Requests with an error as their answer, by code.
    pub(super) errors: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn error(&mut self, code: coap_link::Code) {
        // A handful of codes.
        let count = self.errors.entry(format!("answered_{code}")).or_default();
        *count = count.saturating_add(1);
    }
}

/// The counters by name; error counters that are 0 are left out.
pub(super) fn figures(
    counts: &Counts,
    engine: &Engine,
    dtls: Option<&dtls::Server>,
    listeners: [&Option<CoapListener>; 2],
) -> BTreeMap<String, u64> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (holds, counted) = (engine.memory_use(), engine.counters());
    let mut figures = BTreeMap::from([
        ("peers".to_owned(), number(holds.peers)),
        ("observers".to_owned(), number(holds.observers)),
        ("reports".to_owned(), counts.reports),
    ]);
    let mut happened = BTreeMap::from([
        ("open_requests".to_owned(), number(holds.open_requests)),
        ("no_room".to_owned(), counts.no_room.saturating_add(counted.refused)),
        ("cut_lists".to_owned(), counts.cut_lists),
        ("malformed".to_owned(), counted.malformed),
        ("duplicates".to_owned(), counted.duplicates),
        ("retransmitted".to_owned(), counted.retransmitted),
        ("timed_out".to_owned(), counted.timed_out),
        ("unanswered".to_owned(), counted.unanswered),
        ("dropped_messages".to_owned(), counted.dropped),
        ("echoes".to_owned(), counted.echoes),
        ("unsent".to_owned(), listeners.into_iter().flatten().map(|listener| listener.unsent).sum()),
    ]);
    happened.extend(counts.errors.clone());
    if let Some(dtls) = dtls {
        figures.insert("sessions".to_owned(), number(dtls.sessions()));
        happened.insert("handshakes".to_owned(), number(dtls.handshakes()));
        let counted = dtls.counts();
        for (kind, labels) in
            [("refused", &counted.refused), ("closed", &counted.closed), ("dtls_dropped", &counted.dropped)]
        {
            happened.extend(labels.iter().map(|(label, count)| (format!("{kind}_{label}"), *count)));
        }
    }
    figures.extend(happened.into_iter().filter(|(_, count)| *count > 0));
    figures
}

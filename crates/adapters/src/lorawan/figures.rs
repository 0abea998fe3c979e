//! The counters of a LoRaWAN adapter for `health`, also for each forwarder: the time since its last datagram, and its use
//! of air time.

use std::collections::BTreeMap;
use std::time::Instant;

use lorawan_link::{GatewayView, Network, Now};

/// The adapter's own counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) uplinks: u64,
    pub(super) joins: u64,
    /// Datagrams from networks that are not allowed.
    pub(super) foreign: u64,
    /// Uplinks that the pipeline could not accept.
    pub(super) untaken: u64,
    pub(super) unsent: u64,
    pub(super) given_up: u64,
    pub(super) lost: u64,
    pub(super) without_codec: u64,
    pub(super) unwritten: u64,
}

/// The counters by name. Most counters that are 0 are left out.
pub(super) fn figures(counts: &Counts, network: &mut Network, now: Now) -> BTreeMap<String, u64> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (holds, gateways) = (network.memory_use(), network.gateways(now));
    let mut figures = BTreeMap::from([
        ("devices".to_owned(), number(holds.devices)),
        ("gateways".to_owned(), number(holds.gateways)),
        ("uplinks".to_owned(), counts.uplinks),
        ("joins".to_owned(), counts.joins),
    ]);
    let mut happened = BTreeMap::from([
        ("downlinks_waiting".to_owned(), number(holds.queued)),
        ("devices_locked".to_owned(), number(network.locked().count())),
        ("refused_network".to_owned(), counts.foreign),
        ("untaken".to_owned(), counts.untaken),
        ("unsent".to_owned(), counts.unsent),
        ("sessions_unwritten".to_owned(), counts.unwritten),
        ("downlinks_given_up".to_owned(), counts.given_up),
        ("no_room".to_owned(), counts.lost),
        ("without_codec".to_owned(), counts.without_codec),
    ]);
    happened.extend(network.refused().map(|(reason, count)| (format!("refused_{}", reason.name()), count)));
    for view in &gateways {
        figures.insert(format!("gateway_{}_silent_s", view.gateway), silent(view, now.instant));
        happened.extend(air(view));
    }
    figures.extend(happened.into_iter().filter(|(_, count)| *count > 0));
    figures
}

fn silent(view: &GatewayView, now: Instant) -> u64 {
    now.saturating_duration_since(view.last_seen).as_secs()
}

/// Milliseconds on the air within the last hour, by sub-band; and how many an hour allows, where any was used.
fn air(view: &GatewayView) -> impl Iterator<Item = (String, u64)> {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    view.duty_cycle.iter().filter(|band| !band.used.is_zero()).flat_map(move |band| {
        let name = format!("gateway_{}_band_{}", view.gateway, band.band.name);
        [(format!("{name}_used_ms"), millis(band.used)), (format!("{name}_allowed_ms"), millis(band.allowed))]
    })
}

//! Devices against their neighbours: who drifts away from the others of its zone.
//!
//! One comparison for each zone and metric. Only gauges are compared, and only devices that the configuration puts into
//! a zone; so there are no more comparisons than it has zones with metrics.

use std::collections::BTreeMap;

use anomaly::Peers;
use gateway_core::{DeviceId, MetricId, MetricKind, Reading, Score, ZoneId};
use serde::{Deserialize, Serialize};

use super::registry::Registry;

/// The comparisons of all zones.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct ZonePeers(BTreeMap<(ZoneId, MetricId), Peers>);

impl ZonePeers {
    /// The score of a reading, `own` by its series alone, in the light of its zone's others.
    pub(crate) fn judge(
        &mut self,
        zone: Option<ZoneId>,
        kind: MetricKind,
        reading: &Reading,
        own: Score,
    ) -> Score {
        match (zone, kind) {
            (Some(zone), MetricKind::Gauge) => {
                let peers = self.0.entry((zone, reading.metric)).or_default();
                let drift = peers.observe(reading.device, reading.at, reading.value);
                peers.suppress_shared(reading.device, reading.at, own).max(drift)
            }
            _ => own,
        }
    }

    /// Forgets devices that are no longer in the zone, and metrics that are no longer gauges.
    pub(crate) fn follow(&mut self, registry: &Registry) {
        let zone_of = |device: DeviceId| registry.device(device).and_then(|device| device.zone);
        self.0.retain(|(zone, metric), peers| {
            peers.retain(|device| zone_of(device) == Some(*zone));
            let is_gauge = registry.metric(*metric).is_some_and(|metric| metric.kind == MetricKind::Gauge);
            is_gauge && !peers.is_empty()
        });
    }
}

//! The demo's day before: the page has something to show from the first second on. What the simulated sensors would have
//! sent goes to the history as windows, as if the gateway had been running.

use std::path::Path;

use gateway_core::Timestamp;
use history::{Row, Store, Summary};
use simulator::Building;

/// How far back it goes.
const LENGTH: i64 = 24 * 3_600_000;
/// Of a window, and between two samples, in milliseconds.
const WINDOW: i64 = 300_000;
const EVERY: i64 = 60_000;

/// Writes the day before `now` of every device to the history at `path`. The buildings' meters go on from there.
pub(super) fn remember<'a>(
    path: &Path,
    now: Timestamp,
    buildings: impl Iterator<Item = &'a mut Building>,
) -> Result<(), history::HistoryError> {
    let mut store = Store::open(path)?;
    let end = now.as_millis() - now.as_millis().rem_euclid(WINDOW);
    for building in buildings {
        for device in 0..building.len() {
            let windows: Vec<(Box<str>, Row)> = (end - LENGTH..end)
                .step_by(usize::try_from(WINDOW).unwrap_or(usize::MAX))
                .filter_map(|start| window(building, device, start))
                .collect();
            store.append(&windows)?;
        }
    }
    Ok(())
}

/// One window of a device; none if it was silent.
fn window(building: &mut Building, device: usize, start: i64) -> Option<(Box<str>, Row)> {
    let mut name = None;
    let mut values: Vec<(&'static str, Vec<f64>)> = Vec::new();
    for at in (start..start + WINDOW).step_by(usize::try_from(EVERY).unwrap_or(usize::MAX)) {
        let Some((device, measured)) = building.measure(device, Timestamp::from_millis(at)) else { continue };
        for (metric, value) in measured {
            match values.iter_mut().find(|(known, _)| *known == metric) {
                Some((_, known)) => known.push(value),
                None => values.push((metric, vec![value])),
            }
        }
        name = Some(device.into());
    }
    let row = Row {
        start: Timestamp::from_millis(start),
        end: Timestamp::from_millis(start + WINDOW),
        revision: 0,
        metrics: values.into_iter().map(|(metric, values)| (metric.into(), summary(&values))).collect(),
    };
    Some((name?, row))
}

#[expect(clippy::cast_precision_loss, reason = "five values")]
fn summary(values: &[f64]) -> Summary {
    let count = values.len() as f64;
    let avg = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - avg).powi(2)).sum::<f64>() / count;
    let of = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(avg);
    Summary { avg, min: of(f64::min), max: of(f64::max), std: variance.sqrt(), count: values.len() as u64 }
}

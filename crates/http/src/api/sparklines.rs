//! The small lines beside the devices of a list: the last day, or as much of it as there is.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use gateway_core::Timestamp;
use history::{HistoryError, Store};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::series::{DAY, span};
use crate::drawings::Drawing;
use crate::extract::{Params, Viewer};
use crate::guard::Peer;
use crate::problem::Problem;
use crate::recent;
use crate::state::App;

/// Values of a line.
const POINTS: usize = 48;
/// Lines of one answer.
const MOST: usize = 100;
/// What people look for first.
const FIRST: [&str; 6] = ["temperature", "co2", "humidity", "power", "energy", "occupancy"];
/// What says nothing of the building.
const LAST: [&str; 5] = ["battery", "rssi", "snr", "linkquality", "spreading_factor"];

/// Small lines.
#[derive(Serialize, ToSchema)]
pub(super) struct Sparklines {
    /// A day before `to`, or where the history begins.
    from: String,
    to: String,
    /// The length of a value in milliseconds.
    step: i64,
    /// By device: averages, the oldest first; null where nothing was heard.
    sparklines: BTreeMap<String, Vec<Option<f64>>>,
    /// By device: the metric that the line shows.
    metrics: BTreeMap<String, String>,
}

/// A device, and the metric that its line shows.
struct Wanted {
    device: String,
    metric: String,
}

/// The last day of many devices, as small lines. `device` once for each, at most 100 times; `metric`, or what people look
/// for first.
#[utoipa::path(
    get, path = "/api/v1/sparklines",
    params(
        ("device" = Vec<String>, Query, description = "Names.", explode = true),
        ("metric" = Option<String>, Query, description = "Without it: what people look for first."),
    ),
    responses(
        (status = 200, body = Sparklines),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn sparklines(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Params(query): Params<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let wanted = wanted(&app, query)?;
    let devices: Vec<(String, String)> =
        wanted.iter().map(|one| (one.device.clone(), one.metric.clone())).collect();
    let (day_ago, to) = span(None, None, DAY);
    let stored = app.history.read(move |store| stored(store, &devices, day_ago, to)).await?;
    let span_ms = i64::try_from(recent::SPAN.as_millis()).unwrap_or(0);
    let recent_from = Timestamp::from_millis(to.as_millis() - span_ms);
    let (from, lines) = stored.unwrap_or_default().map_or((recent_from, Vec::new()), |found| found);
    let step = (to.millis_after(from) / i64::try_from(POINTS).unwrap_or(1)).max(1);
    let mut view = Sparklines {
        from: from.to_string(),
        to: to.to_string(),
        step,
        sparklines: BTreeMap::new(),
        metrics: BTreeMap::new(),
    };
    let mut lines = lines.into_iter();
    for Wanted { device, metric } in wanted {
        let mut line = lines.next().flatten().unwrap_or_else(|| vec![None; POINTS]);
        fill(&app, &device, &metric, (from, to, step), &mut line);
        if line.iter().any(Option::is_some) {
            view.sparklines.insert(device.clone(), line);
            view.metrics.insert(device, metric);
        }
    }
    let drawing = app.drawings.draw(move || Drawing::of(&view)).await?;
    app.answers.json(&peer, &headers, drawing)
}

fn wanted(app: &App, query: Vec<(String, String)>) -> Result<Vec<Wanted>, Problem> {
    let mut devices = Vec::new();
    let mut metric = None;
    for (key, value) in query {
        match key.as_str() {
            "device" => devices.push(value),
            "metric" => metric = Some(value),
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Problem::bad_request(format!("{other}: allowed are device and metric")));
            }
        }
    }
    if devices.is_empty() || devices.len() > MOST {
        return Err(Problem::bad_request(format!("device: allowed are 1 to {MOST} of them")));
    }
    let one = |device: String| {
        let metric = metric.clone().or_else(|| first(app, &device))?;
        Some(Wanted { device, metric })
    };
    Ok(devices.into_iter().filter_map(one).collect())
}

/// The metric that a device's line shows.
fn first(app: &App, device: &str) -> Option<String> {
    let device = app.sources.read_model.device(device)?;
    let known = FIRST.into_iter().find(|metric| device.get(metric).is_some());
    let other = || device.series().iter().map(|series| &*series.name).find(|name| !LAST.contains(name));
    known.or_else(other).map(str::to_owned)
}

/// Where the lines begin, and each device's.
type Stored = Option<(Timestamp, Vec<Option<Vec<Option<f64>>>>)>;

/// None while the history is empty.
fn stored(
    store: &Store,
    devices: &[(String, String)],
    day_ago: Timestamp,
    to: Timestamp,
) -> Result<Stored, HistoryError> {
    let Some((oldest, _)) = store.span()? else { return Ok(None) };
    let from = oldest.clamp(day_ago, to);
    let line = |(device, metric): &(String, String)| {
        let line = store.sparkline(device, Some(metric), from, to, POINTS)?;
        Ok(line.map(|(_, values)| values))
    };
    Ok(Some((from, devices.iter().map(line).collect::<Result<_, HistoryError>>()?)))
}

/// Puts in what the history does not have yet.
#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn fill(
    app: &App,
    device: &str,
    metric: &str,
    (from, to, step): (Timestamp, Timestamp, i64),
    line: &mut [Option<f64>],
) {
    let newest = line.iter().rposition(Option::is_some);
    let values = app.live.recent().of(device, metric, from, to);
    let place = |at: &Timestamp| usize::try_from(at.millis_after(from) / step).unwrap_or(0).min(POINTS - 1);
    for chunk in values.chunk_by(|(one, _), (two, _)| place(one) == place(two)) {
        let Some((at, _)) = chunk.first() else { continue };
        if newest.is_some_and(|newest| place(at) <= newest) {
            continue;
        }
        if let Some(value) = line.get_mut(place(at)) {
            *value = Some(chunk.iter().map(|(_, value)| value).sum::<f64>() / chunk.len() as f64);
        }
    }
}

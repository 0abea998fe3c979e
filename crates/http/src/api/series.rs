//! What a series was: for charts, for the small lines of the list, as a file.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use history::{Point, Points, SeriesQuery, Source};
use pipeline::clock::SystemClock;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use crate::drawings::Drawing;
use crate::extract::{Name, Params, Viewer};
use crate::guard::Peer;
use crate::problem::Problem;
use crate::recent;
use crate::state::App;
use crate::times::Time;
use crate::views::kind;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// Points of a chart, if the question does not say.
const DEFAULT_POINTS: usize = 500;
const MOST_POINTS: usize = 5000;
/// Fewer windows make no chart.
const FEWEST_WINDOWS: i64 = 20;

/// Which series, and when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    metric: String,
    /// RFC 3339, or milliseconds since 1970. Default: a day before `to`.
    from: Option<Time>,
    /// Default: now.
    to: Option<Time>,
    /// About how many points: more windows than that are merged.
    #[param(minimum = 2, maximum = 5000)]
    points: Option<usize>,
}

/// A series, the oldest first. Where nothing was heard there is no point: a chart has a gap there.
#[derive(Serialize, ToSchema)]
pub(super) struct SeriesView {
    device: String,
    metric: String,
    /// SenML's.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// `gauge`, `counter` or `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    from: String,
    to: String,
    /// The length of a point in milliseconds; 0 for single values.
    step: i64,
    /// `recent` and `readings`: single values; `windows`, `hours`, `days`: what they were merged of.
    source: &'static str,
    points: Vec<PointView>,
}

/// What the series was in one stretch of time.
#[derive(Serialize, ToSchema)]
struct PointView {
    start: String,
    end: String,
    avg: f64,
    min: f64,
    max: f64,
    /// Population standard deviation.
    std: f64,
    count: u64,
}

impl PointView {
    fn value(at: Timestamp, value: f64) -> Self {
        let at = at.to_string();
        Self { start: at.clone(), end: at, avg: value, min: value, max: value, std: 0.0, count: 1 }
    }
}

impl From<&Point> for PointView {
    fn from(point: &Point) -> Self {
        let history::Summary { avg, min, max, std, count } = point.summary;
        Self { start: point.start.to_string(), end: point.end.to_string(), avg, min, max, std, count }
    }
}

/// A metric of a device between two times.
#[utoipa::path(
    get, path = "/api/v1/devices/{device}/history",
    params(("device" = String, Path, description = "Its name."), Query),
    responses(
        (status = 200, body = SeriesView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn history(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Name(device): Name,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let view = series(&app, device, query).await?;
    let drawing = app.drawings.draw(move || Drawing::of(&view)).await?;
    app.answers.json(&peer, &headers, drawing)
}

/// Which series, with the device's name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NamedQuery {
    /// The device's.
    name: String,
    metric: String,
    /// RFC 3339, or milliseconds since 1970. Default: a day before `to`.
    from: Option<Time>,
    /// Default: now.
    to: Option<Time>,
    /// About how many points: more windows than that are merged.
    #[param(minimum = 2, maximum = 5000)]
    points: Option<usize>,
}

/// A metric of a device between two times, by a query. For any name, also for one that no client sends in a path, such as `..`.
#[utoipa::path(
    get, path = "/api/v1/device/history", params(NamedQuery),
    responses(
        (status = 200, body = SeriesView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn history_by_name(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Params(NamedQuery { name, metric, from, to, points }): Params<NamedQuery>,
) -> Result<Response, Problem> {
    let view = series(&app, name, Query { metric, from, to, points }).await?;
    let drawing = app.drawings.draw(move || Drawing::of(&view)).await?;
    app.answers.json(&peer, &headers, drawing)
}

async fn series(app: &App, device: String, query: Query) -> Result<SeriesView, Problem> {
    let (from, to) = span(query.from, query.to, DAY);
    let points = query.points.unwrap_or(DEFAULT_POINTS);
    if !(2..=MOST_POINTS).contains(&points) {
        return Err(Problem::bad_request(format!(
            "points {points} is out of range; allowed: 2 to {MOST_POINTS}"
        )));
    }
    let known = app.sources.read_model.device(&device);
    let series = known.as_ref().and_then(|known| known.get(&query.metric));
    let mut view = SeriesView {
        unit: series.and_then(|series| series.unit.as_deref().map(str::to_owned)),
        kind: series.map(|series| kind(series.kind)),
        device: device.clone(),
        metric: query.metric.clone(),
        from: from.to_string(),
        to: to.to_string(),
        step: 0,
        source: "recent",
        points: recent_points(app, &device, &query.metric, from, to),
    };
    if view.points.is_empty() {
        let stored = stored(app, device.clone(), query.metric, from, to, points).await?;
        view.source = source(stored.as_ref().map_or(Source::Windows, |stored| stored.source));
        view.step = stored.as_ref().map_or(0, |stored| stored.step_ms);
        let mut stored = stored.map(|stored| stored.points).unwrap_or_default();
        let newest = stored.last().map_or(from, |point| point.end);
        let length = view.step.max(to.millis_after(from) / i64::try_from(points).unwrap_or(1)).max(1);
        stored.extend(newest_points(app, &view, (newest, to), length));
        view.points = stored.iter().map(PointView::from).collect();
        if view.points.is_empty() && known.is_none() {
            return Err(super::devices::unknown(&device));
        }
    }
    Ok(view)
}

/// Single values, if all that is asked for happened in the last minutes, and is too short for a chart of windows.
fn recent_points(app: &App, device: &str, metric: &str, from: Timestamp, to: Timestamp) -> Vec<PointView> {
    let windows = to.min(SystemClock.now()).millis_after(from) / app.site().window.max(1);
    let has_windows = app.history.path().is_some() && windows >= FEWEST_WINDOWS;
    if has_windows || SystemClock.now().since(from) > recent::SPAN {
        return Vec::new();
    }
    let points = app.live.recent().of(device, metric, from, to);
    points.into_iter().map(|(at, value)| PointView::value(at, value)).collect()
}

/// What the history does not have yet: windows are written some minutes after they have closed.
fn newest_points(
    app: &App,
    view: &SeriesView,
    (from, to): (Timestamp, Timestamp),
    length: i64,
) -> Vec<Point> {
    let values = app.live.recent().of(&view.device, &view.metric, from, to);
    let bucket = |at: &Timestamp| at.as_millis().div_euclid(length);
    let chunks = values.chunk_by(|(one, _), (two, _)| bucket(one) == bucket(two));
    chunks.filter_map(|chunk| point(chunk, length)).collect()
}

/// Values of one stretch as a point.
#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn point(values: &[(Timestamp, f64)], length: i64) -> Option<Point> {
    let (first, _) = values.first()?;
    let start = first.as_millis().div_euclid(length) * length;
    let count = values.len() as f64;
    let avg = values.iter().map(|(_, value)| value).sum::<f64>() / count;
    let variance = values.iter().map(|(_, value)| (value - avg).powi(2)).sum::<f64>() / count;
    let of = |pick: fn(f64, f64) -> f64| values.iter().map(|(_, value)| *value).reduce(pick).unwrap_or(avg);
    let summary = history::Summary {
        avg,
        min: of(f64::min),
        max: of(f64::max),
        std: variance.sqrt(),
        count: values.len() as u64,
    };
    let end = Timestamp::from_millis(start + length);
    Some(Point { start: Timestamp::from_millis(start), end, summary })
}

async fn stored(
    app: &App,
    device: String,
    metric: String,
    from: Timestamp,
    to: Timestamp,
    max_points: usize,
) -> Result<Option<Points>, Problem> {
    let question = move |store: &history::Store| {
        store.series(&SeriesQuery { device: &device, metric: &metric, from, to, max_points })
    };
    app.history.read(question).await
}

const fn source(source: Source) -> &'static str {
    match source {
        Source::Readings => "readings",
        Source::Windows => "windows",
        Source::Hours => "hours",
        Source::Days => "days",
    }
}

/// The times of a query; without `from`, `length` before `to`.
pub(super) fn span(from: Option<Time>, to: Option<Time>, length: Duration) -> (Timestamp, Timestamp) {
    let to = to.map_or_else(|| SystemClock.now(), |to| to.0);
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let before = || Timestamp::from_millis(to.as_millis().saturating_sub(length).max(0));
    let from = from.map_or_else(before, |from| from.0);
    // Of a time that ends before it begins there is nothing.
    (from.min(to), to)
}

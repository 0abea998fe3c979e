//! Alerts: open and past ones, and acknowledging them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use gateway_core::settings::HumanDuration;
use history::{AlertCursor, AlertQuery, Store, StoredAlert};
use pipeline::Control;
use pipeline::acknowledging::{Answer, Request, Row};
use pipeline::clock::SystemClock;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::{Shared, limit, stopping};
use crate::drawings::Drawing;
use crate::extract::{Body, Operator, Params, Viewer};
use crate::guard::Peer;
use crate::problem::Problem;
use crate::state::App;
use crate::times::Time;
use crate::views::{Acknowledgement, AlertView};

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// Default: open ones.
    state: Option<Which>,
    device: Option<String>,
    /// Not over before this time. RFC 3339, or milliseconds since 1970.
    from: Option<Time>,
    /// Raised before this time.
    to: Option<Time>,
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the answer before.
    #[param(pattern = "^(open-[0-9]{1,9}|past-[0-9]{1,15}-[0-9]{1,9})$")]
    after: Option<String>,
}

/// Raised and not cleared, or over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Which {
    Open,
    Past,
    All,
}

/// Open alerts, then past ones, each the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertList {
    alerts: Vec<AlertView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What to acknowledge.
#[derive(Deserialize, ToSchema)]
pub(super) struct Acknowledge {
    device: String,
    /// Without it, all of the device's.
    metric: Option<String>,
    /// The same anomaly is not raised again for this long, unless it gets clearly worse. A duration such as `"30d"`.
    #[serde(rename = "for")]
    #[schema(pattern = "^[1-9][0-9]{0,3}[smhd]$")]
    hold: Option<String>,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
pub(super) struct Acknowledged {
    /// These were raised, and are cleared now.
    acknowledged: Vec<AlertView>,
    /// These are no anomalies, and stay until their cause ends.
    others: Vec<AlertView>,
}

/// Open alerts, then past ones, each the newest first. Past ones need `[history]`.
#[utoipa::path(get, path = "/api/v1/alerts", params(Query), responses(
    (status = 200, body = AlertList),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn alerts(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    limit(query.limit)?;
    let question = format!("alerts {:p} {query:?}", Arc::as_ptr(&app.site()));
    let drawing = async {
        let list = list(&app, &query).await?;
        app.drawings.draw(move || Drawing::of(&list)).await
    };
    let drawing = app.drawings.shared(question, drawing).await?;
    app.answers.json(&peer, &headers, drawing)
}

async fn list(app: &Arc<App>, query: &Query) -> Result<AlertList, Problem> {
    let limit = limit(query.limit)?;
    let (with_open, with_past) = match query.state {
        None | Some(Which::Open) => (true, false),
        Some(Which::Past) => (false, true),
        Some(Which::All) => (true, true),
    };
    let wanted = Wanted::of(query);
    let after = query.after.as_deref().map_or(Ok(Place::Open(0)), str::parse)?;
    let open = all_open(app).await?;
    let open_ids: HashSet<String> = open.iter().map(|alert| alert.id.clone()).collect();
    let mut list = AlertList { alerts: Vec::new(), next: None };
    if let (true, Place::Open(shown)) = (with_open, after) {
        let mut rest = open.into_iter().filter(|alert| wanted.has(alert)).skip(shown);
        list.alerts.extend(rest.by_ref().take(limit));
        if rest.next().is_some() {
            list.next = Some(Place::Open(shown + limit).to_string());
            return Ok(list);
        }
    }
    let room = limit - list.alerts.len();
    if with_past && room > 0 {
        let before = if let Place::Past(cursor) = after { Some(cursor) } else { None };
        let stored = past(app, &wanted, before, room).await?;
        let next = stored.last().filter(|_| stored.len() == room);
        list.next = next.map(|last| Place::Past(last.cursor).to_string());
        let fresh = app.live.cleared().into_iter().filter(|alert| wanted.has(alert)).collect();
        let (site, model, has_next) = (app.site(), app.sources.read_model.clone(), list.next.is_some());
        let draw = move || {
            let views = stored.iter().filter_map(|stored| AlertView::stored(stored, &site));
            let views = views.filter(|alert| !open_ids.contains(&alert.id)).collect();
            let past = with_fresh(views, fresh, before.is_none(), has_next);
            let actions = model.actions().newest();
            past.into_iter().map(|view| view.acted(&model, &actions)).collect::<Vec<_>>()
        };
        list.alerts.extend(app.drawings.draw(draw).await?);
    } else if with_past {
        list.next = Some(Place::Open(usize::MAX).to_string());
    }
    Ok(list)
}

/// The newest first.
async fn all_open(app: &App) -> Result<Vec<AlertView>, Problem> {
    let (site, model) = (app.site(), app.sources.read_model.clone());
    let draw = move || {
        let actions = model.actions().newest();
        let view = |alert: &Arc<read_model::OpenAlert>| {
            let device = model.device(&alert.device);
            let zone = device.as_ref().and_then(|device| device.zone.as_deref());
            AlertView::open(alert, zone, &site).acted(&model, &actions)
        };
        let mut open: Vec<AlertView> = model.alerts().iter().map(view).collect();
        open.sort_by(|one, two| (&two.time, &two.id).cmp(&(&one.time, &one.id)));
        open
    };
    app.drawings.draw(draw).await
}

/// A page of the history, with what it does not have yet: `fresh` alerts, cleared some minutes ago at most.
fn with_fresh(
    stored: Vec<AlertView>,
    fresh: Vec<AlertView>,
    is_first: bool,
    has_next: bool,
) -> Vec<AlertView> {
    let mut fresh: HashMap<String, AlertView> =
        fresh.into_iter().map(|alert| (alert.id.clone(), alert)).collect();
    // Where there is another page, older ones are for it.
    let oldest = stored.last().filter(|_| has_next).map(|alert| alert.time.clone());
    let mut page: Vec<AlertView> =
        stored.into_iter().map(|alert| fresh.remove(&alert.id).unwrap_or(alert)).collect();
    if is_first {
        let rest =
            fresh.into_values().filter(|alert| oldest.as_ref().is_none_or(|oldest| alert.time > *oldest));
        page.extend(rest);
        page.sort_by(|one, two| (&two.time, &two.id).cmp(&(&one.time, &one.id)));
    }
    page
}

/// Which alerts are asked for.
#[derive(Clone)]
struct Wanted {
    device: Option<String>,
    from: Timestamp,
    to: Timestamp,
}

impl Wanted {
    fn of(query: &Query) -> Self {
        Self {
            device: query.device.clone(),
            from: query.from.map_or(Timestamp::EPOCH, |from| from.0),
            to: query.to.map_or(Timestamp::MAX, |to| to.0),
        }
    }

    fn has(&self, alert: &AlertView) -> bool {
        let time = |text: &str| text.parse::<Timestamp>().unwrap_or(Timestamp::EPOCH);
        let is_over = |cleared: &String| time(cleared) < self.from;
        time(&alert.time) < self.to
            && !alert.cleared.as_ref().is_some_and(is_over)
            && self.device.as_ref().is_none_or(|device| *device == alert.device)
    }
}

/// Where a page of the list ends.
#[derive(Clone, Copy)]
enum Place {
    /// So many open ones are shown.
    Open(usize),
    Past(AlertCursor),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(shown) => write!(f, "open-{shown}"),
            Self::Past(cursor) => write!(f, "past-{cursor}"),
        }
    }
}

impl FromStr for Place {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let place = match text.split_once('-') {
            Some(("open", shown)) => shown.parse().ok().map(Self::Open),
            Some(("past", cursor)) => cursor.parse().ok().map(Self::Past),
            _ => None,
        };
        place.ok_or_else(|| Problem::bad_request("after is not the `next` of an answer"))
    }
}

async fn past(
    app: &App,
    wanted: &Wanted,
    before: Option<AlertCursor>,
    limit: usize,
) -> Result<Vec<StoredAlert>, Problem> {
    let wanted = wanted.clone();
    let question = move |store: &Store| {
        let Wanted { device, from, to } = &wanted;
        store.alerts(&AlertQuery { device: device.as_deref(), from: *from, to: *to, before, limit })
    };
    Ok(app.history.read(question).await?.unwrap_or_default())
}

/// Acknowledges anomalies: they are cleared, and the same is not raised again for a time.
#[utoipa::path(post, path = "/api/v1/alerts/acknowledge", request_body = Acknowledge, responses(
    (status = 200, body = Acknowledged),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn acknowledge(
    State(app): Shared,
    _: Operator,
    Body(Acknowledge { device, metric, hold }): Body<Acknowledge>,
) -> Result<Json<Acknowledged>, Problem> {
    let hold = hold.as_deref().map_or(Ok(HumanDuration::from_secs(30 * 86_400)), str::parse);
    let hold: Duration = hold.map_err(|error| Problem::bad_request(format!("for: {error}")))?.0;
    if hold.is_zero() {
        return Err(Problem::bad_request("for: must be longer than 0, such as 30d"));
    }
    let held = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    let until = Timestamp::from_millis(SystemClock.now().as_millis().saturating_add(held));
    if app.sources.read_model.device(&device).is_none() {
        return Err(super::devices::unknown(&device));
    }
    let open = all_open(&app).await?;
    let is_meant = |alert: &AlertView| alert.device == device && (metric.is_none() || alert.metric == metric);
    // Only what can be acknowledged is remembered: no made-up name takes memory.
    if open.iter().any(|alert| alert.can_acknowledge && is_meant(alert)) {
        app.live.acknowledge(&device, metric.as_deref(), until);
    }
    let (reply, answer) = oneshot::channel();
    let request = Request { device: device.clone(), metric: metric.clone(), hold };
    app.sources.control.send(Control::Acknowledge(request, reply)).await.map_err(|_| stopping())?;
    let answer = answer.await.map_err(|_| stopping())?;
    app.drawings.forget();
    match answer {
        Answer::UnknownDevice => Err(super::devices::unknown(&device)),
        Answer::UnknownMetric => {
            let metric: String = metric.unwrap_or_default().chars().take(100).collect();
            Err(Problem::not_found(format!("no metric is called `{metric}`")))
        }
        Answer::Done { acknowledged, others } => {
            let now = SystemClock.now().to_string();
            let done = |row: &Row| {
                let mut view = view_of(row, &open)?;
                "cleared".clone_into(&mut view.state);
                (view.cleared, view.can_acknowledge) = (Some(now.clone()), false);
                view.acknowledged = Some(Acknowledgement { until: until.to_string() });
                Some(view)
            };
            Ok(Json(Acknowledged {
                acknowledged: acknowledged.iter().filter_map(done).collect(),
                others: others.iter().filter_map(|row| view_of(row, &open)).collect(),
            }))
        }
    }
}

/// The alert of this row among those that were open before.
fn view_of(row: &Row, open: &[AlertView]) -> Option<AlertView> {
    let is_it = |view: &&AlertView| {
        view.alert == row.alert
            && view.device == row.device
            && view.metric == row.metric
            && view.time == row.since
    };
    open.iter().find(is_it).cloned()
}

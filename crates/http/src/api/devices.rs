//! Devices: the list, and one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use read_model::{Device, DeviceMessages, Message, ReadModel};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Shared, limit};
use crate::answers::PAGE_BYTES;
use crate::drawings::Drawing;
use crate::extract::{Name, Params, Viewer};
use crate::guard::Peer;
use crate::problem::Problem;
use crate::site::{Rule, Site};
use crate::state::App;
use crate::views::{AlertView, DeviceState, DeviceView, state, worst};

/// About what a device and one of its metrics take in an answer.
const BYTES_OF_DEVICE: usize = 256;
const BYTES_OF_METRIC: usize = 128;

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// A part of the name or zone, without case.
    search: Option<String>,
    zone: Option<String>,
    protocol: Option<String>,
    state: Option<DeviceState>,
    /// Whether a `[devices.*]` table names it.
    named: Option<bool>,
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the answer before.
    after: Option<String>,
}

/// Devices by name.
#[derive(Serialize, ToSchema)]
pub(super) struct Devices {
    devices: Vec<DeviceView>,
    /// How many match.
    total: usize,
    /// Where there are more: `after` of the next question.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One device, and what is about it.
#[derive(Serialize, ToSchema)]
pub(super) struct Details {
    #[serde(flatten)]
    device: DeviceView,
    /// The rules that are about it.
    rules: Vec<RuleView>,
    /// Its open alerts.
    alerts: Vec<AlertView>,
    /// Its last messages, the newest first.
    messages: Vec<MessageView>,
    /// What came of its messages since the page was started.
    ledger: DeviceLedger,
}

/// One message, and how it was read.
#[derive(Serialize, ToSchema)]
struct MessageView {
    time: String,
    adapter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<&'static str>,
    /// LoRaWAN's FPort.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u8>,
    /// The payload's beginning, in hexadecimal.
    payload_hex: String,
    /// The same as text, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_text: Option<String>,
    /// Of the whole payload, in bytes.
    length: usize,
    /// What the codec made of it, under the names that it gave.
    metrics: BTreeMap<String, f64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Messages of a device.
#[derive(Default, Serialize, ToSchema)]
struct DeviceLedger {
    received: u64,
    /// By reason.
    refused: BTreeMap<&'static str, u64>,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let is_text = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
        let text = std::str::from_utf8(&message.payload).ok().filter(is_text);
        Self {
            time: message.at.to_string(),
            adapter: message.adapter.to_string(),
            codec: message.codec,
            port: message.port,
            payload_hex: message.payload.iter().map(|byte| format!("{byte:02x}")).collect(),
            payload_text: text.map(str::to_owned),
            length: message.length,
            metrics: message.values.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
            error: message.refused.as_ref().map(|(_, why)| why.clone()),
        }
    }
}

impl From<&DeviceMessages> for DeviceLedger {
    fn from(known: &DeviceMessages) -> Self {
        let refused = known.refused.iter().map(|(reason, count)| (reason.as_str(), *count));
        Self { received: known.received, refused: refused.collect() }
    }
}

/// One `[alerts.*]` table.
#[derive(Serialize, ToSchema)]
struct RuleView {
    name: String,
    /// One line for people.
    text: String,
}

/// The devices that are known, by name.
#[utoipa::path(get, path = "/api/v1/devices", params(Query), responses(
    (status = 200, body = Devices),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn devices(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let limit = limit(query.limit)?;
    let (model, site) = (app.sources.read_model.clone(), app.site());
    let question = format!("devices {:p} {query:?}", Arc::as_ptr(&site));
    let drawing = app.drawings.draw(move || Drawing::of(&page(&model, &site, &query, limit)));
    let drawing = app.drawings.shared(question, drawing).await?;
    app.answers.json(&peer, &headers, drawing)
}

/// Takes milliseconds where there are a thousand devices.
fn page(model: &ReadModel, site: &Site, query: &Query, limit: usize) -> Devices {
    let worst = worst(&model.alerts());
    let search = query.search.as_deref().map(str::to_lowercase);
    let matches = |device: &Device| {
        let has = |text: &str| search.as_ref().is_none_or(|search| text.to_lowercase().contains(search));
        let is = |asked: &Option<String>, found: Option<&str>| asked.is_none() || asked.as_deref() == found;
        (has(&device.name) || device.zone.as_deref().is_some_and(has))
            && is(&query.zone, device.zone.as_deref())
            && is(&query.protocol, device.protocol.as_deref())
            && query.state.is_none_or(|asked| asked == state(device, &worst).0)
            && query.named.is_none_or(|named| named == site.named.contains_key(&*device.name))
    };
    let mut found = model.devices();
    found.retain(|device| matches(device));
    found.sort_by(|one, two| one.name.cmp(&two.name));
    let total = found.len();
    let after = query.after.as_deref().unwrap_or_default();
    let first = found.partition_point(|device| &*device.name <= after && !after.is_empty());
    let page = found.get(first..).unwrap_or_default();
    let mut devices = Vec::new();
    let mut bytes = 0;
    for device in page.iter().take(limit) {
        bytes += BYTES_OF_DEVICE + device.series().len() * BYTES_OF_METRIC;
        if bytes > PAGE_BYTES && !devices.is_empty() {
            break;
        }
        devices.push(DeviceView::of(device, site, &worst));
    }
    let more = page.len() > devices.len();
    let next = more.then(|| devices.last().map(|device| device.name.clone())).flatten();
    Devices { devices, total, next }
}

/// One device.
#[utoipa::path(
    get, path = "/api/v1/devices/{device}", params(("device" = String, Path, description = "Its name.")),
    responses(
        (status = 200, body = Details),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn device(
    State(app): Shared,
    _: Viewer,
    Name(name): Name,
) -> Result<Json<Details>, Problem> {
    details(&app, &name)
}

/// Which device.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Named {
    /// Its name.
    name: String,
}

/// One device, by a query. For any name, also for one that no client sends in a path, such as `..`.
#[utoipa::path(
    get, path = "/api/v1/device", params(Named),
    responses(
        (status = 200, body = Details),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn device_by_name(
    State(app): Shared,
    _: Viewer,
    Params(Named { name }): Params<Named>,
) -> Result<Json<Details>, Problem> {
    details(&app, &name)
}

fn details(app: &App, name: &str) -> Result<Json<Details>, Problem> {
    let device = app.sources.read_model.device(name).ok_or_else(|| unknown(name))?;
    let site = app.site();
    let alerts = app.sources.read_model.alerts();
    let zone = device.zone.as_deref();
    let rule = |rule: &Rule| RuleView { name: rule.name.clone(), text: rule.text.clone() };
    let messages = app.sources.read_model.messages().of(name);
    let actions = app.sources.read_model.actions().newest();
    let own = alerts.iter().filter(|alert| alert.device == device.name);
    Ok(Json(Details {
        rules: site.rules.iter().filter(|rule| rule.rule.matches_device(name, zone)).map(rule).collect(),
        alerts: own
            .map(|alert| AlertView::open(alert, zone, &site).acted(&app.sources.read_model, &actions))
            .collect(),
        device: DeviceView::of(&device, &site, &worst(&alerts)),
        messages: messages.iter().flat_map(|known| &known.newest).map(MessageView::from).collect(),
        ledger: messages.as_ref().map(DeviceLedger::from).unwrap_or_default(),
    }))
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("no device is called `{}`", name.chars().take(100).collect::<String>()))
}

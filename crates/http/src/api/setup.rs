//! What helps to set the gateway up: the configuration, trying one, trying a codec. Nothing is changed here.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};
use utoipa::ToSchema;

use super::Shared;
use crate::extract::{Body, Operator, Viewer};
use crate::problem::Problem;
use crate::site::Finding;

/// The configuration in force.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigView {
    file: String,
    /// The text, with each secret as `***`.
    toml: String,
    /// What `riser check` says of it.
    findings: Vec<Finding>,
}

/// What is wrong with a configuration.
#[derive(Serialize, ToSchema)]
pub(super) struct Findings {
    /// The first 200.
    findings: Vec<Finding>,
    /// How many there are.
    total: usize,
}

/// Of one answer.
const MOST_FINDINGS: usize = 200;

/// Codecs that can be tried.
#[derive(Serialize, ToSchema)]
pub(super) struct Codecs {
    codecs: Vec<String>,
}

/// One payload.
#[derive(Deserialize, ToSchema)]
pub(super) struct Payload {
    /// One of `GET /api/v1/codecs`.
    codec: String,
    /// LoRaWAN's FPort.
    #[schema(minimum = 0, maximum = 255, value_type = Option<u8>)]
    port: Option<Number>,
    /// In hexadecimal.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    bytes: String,
}

/// What a codec made of a payload.
#[derive(Serialize, ToSchema)]
pub(super) struct Decoded {
    data: Value,
    errors: Vec<String>,
    warnings: Vec<String>,
    /// Values by the metrics' names.
    metrics: Value,
}

/// The configuration in force, without its secrets.
#[utoipa::path(get, path = "/api/v1/config", responses(
    (status = 200, body = ConfigView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn config(State(app): Shared, _: Operator) -> Json<ConfigView> {
    let site = app.site();
    Json(ConfigView { file: site.file.clone(), toml: site.toml.clone(), findings: site.findings.clone() })
}

/// Checks a configuration as `riser check` would, and changes nothing.
#[utoipa::path(
    post, path = "/api/v1/config/check", request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, body = Findings),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn check(
    State(app): Shared,
    _: Operator,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Findings>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/plain") {
        let why = "the configuration is sent as text/plain";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let toml = String::from_utf8(body.to_vec()).map_err(|_| Problem::bad_request("the text is not UTF-8"))?;
    let turn = app.work.take()?;
    let tools = app.sources.tools.clone();
    let findings = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        tools.check(&toml)
    });
    let findings = findings.await;
    let mut findings =
        findings.map_err(|_| Problem::unavailable("the check ended early; the log says why"))?;
    let total = findings.len();
    findings.truncate(MOST_FINDINGS);
    Ok(Json(Findings { findings, total }))
}

/// The codecs that can be tried: built-in ones, and the files of devices.
#[utoipa::path(get, path = "/api/v1/codecs", responses(
    (status = 200, body = Codecs),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn codecs(State(app): Shared, _: Viewer) -> Json<Codecs> {
    Json(Codecs { codecs: app.site().codecs.clone() })
}

/// Reads one payload as `riser decode` would.
#[utoipa::path(post, path = "/api/v1/decode", request_body = Payload, responses(
    (status = 200, body = Decoded),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn decode(
    State(app): Shared,
    _: Operator,
    Body(Payload { codec, port, bytes }): Body<Payload>,
) -> Result<Json<Value>, Problem> {
    // A name that is not listed could be any file of this machine.
    if !app.site().codecs.contains(&codec) {
        return Err(Problem::not_found("no such codec; GET /api/v1/codecs lists them"));
    }
    let port = port.as_ref().map(byte).transpose()?;
    let row = json!({ "codec": codec, "fPort": port, "bytes": bytes });
    let turn = app.work.take()?;
    let tools = app.sources.tools.clone();
    let decoded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        tools.decode(&row)
    });
    let decoded = decoded.await;
    decoded.map(Json).map_err(|_| Problem::unavailable("the codec ended early; the log says why"))
}

/// JSON has one kind of number: 2.0 is 2.
fn byte(number: &Number) -> Result<u8, Problem> {
    let whole = number.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=255.0).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 255"
    )]
    let byte = whole.map(|number| number as u8);
    byte.ok_or_else(|| Problem::bad_request(format!("port {number} is out of range; allowed: 0 to 255")))
}

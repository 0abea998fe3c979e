//! The gateway as a whole: the overview, and the ledger.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::{Shared, stopping};
use crate::extract::Viewer;
use crate::overview::Overview;
use crate::problem::Problem;

/// The gateway at a glance. At most a second old.
#[utoipa::path(get, path = "/api/v1/overview", responses(
    (status = 200, body = Overview),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn overview(State(app): Shared, _: Viewer) -> Result<Response, Problem> {
    let json = app.overviews.json().await.ok_or_else(stopping)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
}

/// Where every reading is, as `riser audit --json` prints it.
#[utoipa::path(get, path = "/api/v1/ledger", responses(
    (status = 200, body = Value, content_type = "application/json"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn ledger(State(app): Shared, _: Viewer) -> Result<Json<Value>, Problem> {
    let audit = app.sources.auditor.audit().await.ok_or_else(stopping)?;
    Ok(Json(serde_json::to_value(audit).unwrap_or_default()))
}

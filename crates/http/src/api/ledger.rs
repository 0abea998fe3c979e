//! The gateway as a whole: the overview, and the ledger.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;

use super::{Shared, stopping};
use crate::extract::Viewer;
use crate::guard::Peer;
use crate::overview::Overview;
use crate::problem::Problem;

/// The gateway at a glance. At most a second old.
#[utoipa::path(get, path = "/api/v1/overview", responses(
    (status = 200, body = Overview),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn overview(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let drawn = app.overviews.now().await.ok_or_else(stopping)?;
    app.answers.json(&peer, &headers, drawn.drawing.clone())
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

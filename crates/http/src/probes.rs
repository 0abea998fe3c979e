//! `/healthz` and `/readyz`, for whatever watches the process. Nobody has to log in for them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use pipeline::Control;
use tokio::sync::oneshot;

use crate::overview::not_ready;
use crate::state::App;

/// How long the pipeline may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The gateway works: its pipeline answers.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, body = String, content_type = "text/plain"),
))]
pub(crate) async fn healthz(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        app.sources.control.send(Control::Ping { limit: Duration::MAX, reply }).await.ok()?;
        answer.await.ok()
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Some(())) => (StatusCode::OK, "ok\n"),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the pipeline does not answer\n"),
    }
}

/// The gateway takes readings: every adapter is up. If not, the answer names those that are not, one a line.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, body = String, content_type = "text/plain"),
))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let not_ready = not_ready(&app.sources);
    if not_ready.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    // Names alone: why is for those who may look.
    let names: Vec<&str> = not_ready.keys().map(String::as_str).collect();
    (StatusCode::SERVICE_UNAVAILABLE, names.join("\n") + "\n")
}

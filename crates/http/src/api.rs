//! The API under `/api/v1`: the list of its paths, and its OpenAPI document, which is made of them.

mod alerts;
mod devices;
mod export;
mod ledger;
mod login;
mod series;
mod setup;
mod sparklines;

pub(crate) use export::shares as exports;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::assets;
use crate::extract::Viewer;
use crate::problem::Problem;
use crate::state::App;
use crate::{metrics, probes, stream};

/// The document's frame.
#[derive(OpenApi)]
#[openapi(
    info(title = "Riser", description = "What the gateway knows, and what it may be asked to do."),
    components(schemas(
        Problem,
        alerts::Which,
        export::ExportFormat,
        crate::times::Time,
        crate::views::DeviceState
    ))
)]
struct Document;

/// The API's paths, and its document.
fn described() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(login::session))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(ledger::overview))
        .routes(routes!(ledger::ledger))
        .routes(routes!(devices::devices))
        .routes(routes!(devices::device))
        .routes(routes!(devices::device_by_name))
        .routes(routes!(series::history))
        .routes(routes!(series::history_by_name))
        .routes(routes!(sparklines::sparklines))
        .routes(routes!(export::export))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(setup::config))
        .routes(routes!(setup::check))
        .routes(routes!(setup::codecs))
        .routes(routes!(setup::decode))
        .routes(routes!(stream::stream))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(metrics::metrics))
        .split_for_parts()
}

/// The API's document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    described().1
}

/// Everything that is served.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (paths, document) = described();
    let document = Arc::new(document);
    let openapi = get(move |_: Viewer| async move { Json(document.as_ref().clone()) });
    let not_allowed =
        || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method") };
    paths
        .route("/api/v1/openapi.json", openapi)
        .fallback(assets::serve)
        .method_not_allowed_fallback(not_allowed)
        .with_state(app)
}

/// What every handler is given.
type Shared = State<Arc<App>>;

/// How many entries a list has where the question does not say.
const DEFAULT_LIMIT: usize = 100;
const MOST_LIMIT: usize = 1000;

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MOST_LIMIT => Ok(limit),
        other => {
            Err(Problem::bad_request(format!("limit {other} is out of range; allowed: 1 to {MOST_LIMIT}")))
        }
    }
}

/// The gateway's other parts are gone.
fn stopping() -> Problem {
    Problem::unavailable("the gateway is stopping")
}

//! Logging in and out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pipeline::clock::monotonic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use crate::extract::Body;
use crate::guard::{Peer, Sender};
use crate::problem::Problem;

/// Who is asking, and whether a password is needed.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    login_required: bool,
    /// `view` or `operate`; null: not logged in.
    role: Option<&'static str>,
    gateway: String,
    version: &'static str,
    timezone: String,
}

/// A password.
#[derive(Deserialize, ToSchema)]
pub(super) struct Login {
    password: String,
}

/// The role that the password gives.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    role: &'static str,
}

/// Who is asking.
#[utoipa::path(get, path = "/api/v1/session", responses((status = 200, body = Session)))]
pub(super) async fn session(State(app): Shared, sender: Option<Sender>) -> Json<Session> {
    let site = app.site();
    Json(Session {
        login_required: !app.access.is_open(),
        role: sender.and_then(|sender| sender.0).map(crate::config::Role::as_str),
        gateway: site.gateway.clone(),
        version: env!("CARGO_PKG_VERSION"),
        timezone: site.timezone.clone(),
    })
}

/// Begins a session: its token is in a cookie.
#[utoipa::path(
    post, path = "/api/v1/login", request_body = Login,
    responses(
        (status = 200, body = LoggedIn),
        (status = 401, description = "The password is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn login(
    State(app): Shared,
    Peer { address, .. }: Peer,
    Body(Login { password }): Body<Login>,
) -> Result<Response, Problem> {
    if app.access.is_open() {
        return Ok(Json(LoggedIn { role: crate::config::Role::Operate.as_str() }).into_response());
    }
    let (role, cookie) = app.access.login(&password, address).await.inspect_err(|_| {
        if let Some(left_out) = app.refused.allow(monotonic()) {
            tracing::warn!(peer = %address, left_out, "http: a login was refused");
        }
    })?;
    Ok(with_cookie(Json(LoggedIn { role: role.as_str() }).into_response(), &cookie))
}

/// Ends the session.
#[utoipa::path(post, path = "/api/v1/logout", responses(
    (status = 204),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn logout(State(app): Shared, headers: HeaderMap) -> Response {
    let cookie = app.access.logout(&headers);
    with_cookie(StatusCode::NO_CONTENT.into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

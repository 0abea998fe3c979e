//! What every request passes first: is it meant for this machine, does it come from our own page, who sends it. And what
//! every answer carries: a strict content security policy.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio_util::sync::CancellationToken;

use crate::config::Role;
use crate::problem::Problem;
use crate::state::App;

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Ends its connection.
    pub(crate) cut: CancellationToken,
}

/// Who sends it; `None`: nobody knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender(pub(crate) Option<Role>);

/// No script, style or picture but ours; nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The names by which this machine may be called.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    pub(crate) fn new(configured: &[String]) -> Self {
        let machine = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        let mut names = vec!["localhost".to_owned(), format!("{machine}.local"), machine];
        names.extend(configured.iter().map(|name| name.to_lowercase()));
        Self(names)
    }

    /// Whether `host`, without its port, is this machine. An address is never another site's name.
    fn has(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = host.strip_suffix('.').unwrap_or(host);
        bare.parse::<IpAddr>().is_ok() || self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

pub(crate) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let checked = check(&app, &request);
    let mut response = match checked {
        Ok(role) => {
            request.extensions_mut().insert(Sender(role));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    secure(response.headers_mut());
    response
}

fn check(app: &App, request: &Request) -> Result<Option<Role>, Problem> {
    let headers = request.headers();
    let host = host(request)
        .ok_or_else(|| Problem::bad_request("the request names no host (RFC 9112, section 3.2)"))?;
    if !app.hosts.has(host.host()) {
        let why = format!(
            "this gateway is not called `{}`; use its address, or add the name to `hosts` in [http]",
            host.host().chars().take(100).collect::<String>()
        );
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let path = request.uri().path();
    // A link to the page itself may stand anywhere.
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_page = !path.starts_with("/api/") && path != "/metrics";
    let may_be_linked = is_safe && is_page;
    if !may_be_linked && !is_own(headers, &host) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the request comes from another site's page"));
    }
    // Nobody has to say who he is for the probes, and nobody is refused for what he says.
    if matches!(path, "/healthz" | "/readyz") {
        return Ok(None);
    }
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address);
    app.access.role(headers, peer)
}

fn host(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// Whether it comes from our own page, or from no page at all: a browser says so with `Sec-Fetch-Site` or `Origin`, and
/// no page can change them.
fn is_own(headers: &HeaderMap, host: &Authority) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let is_host = |origin: &str| {
        let origin = origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        origin.is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host.as_str()))
    };
    text("origin").is_none_or(is_host)
        && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}

fn secure(headers: &mut HeaderMap) {
    let all = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_machines_names_and_addresses() {
        let hosts = Hosts::new(&["Riser.example.com".to_owned()]);
        for host in
            ["127.0.0.1", "[::1]", "10.0.0.9", "localhost", "LOCALHOST", "riser.example.com", "localhost."]
        {
            assert!(hosts.has(host), "{host}");
        }
        for host in ["evil.example.com", "127.0.0.1.evil.example.com", "", "riser"] {
            assert!(
                !hosts.has(host) || host == rustix::system::uname().nodename().to_string_lossy(),
                "{host}"
            );
        }
    }

    #[test]
    fn a_request_of_another_sites_page_is_not_our_own() {
        let host: Authority = "127.0.0.1:8090".parse().unwrap();
        let of = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert!(is_own(&HeaderMap::new(), &host));
        assert!(is_own(&of("origin", "http://127.0.0.1:8090"), &host));
        assert!(is_own(&of("sec-fetch-site", "same-origin"), &host));
        for origin in ["http://evil.example.com", "null", "http://127.0.0.1:8091", "foo://127.0.0.1:8090"] {
            assert!(!is_own(&of("origin", origin), &host), "{origin}");
        }
        assert!(!is_own(&of("sec-fetch-site", "cross-site"), &host));
    }
}

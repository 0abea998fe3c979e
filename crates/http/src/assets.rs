//! The page's files, built into the binary. `scripts/build-web` makes them of `crates/http/web`.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::problem::Problem;

struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    /// The same compressed, once somebody has asked for it.
    gzip: OnceLock<Vec<u8>>,
}

macro_rules! asset {
    ($path:literal, $kind:literal) => {
        Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../web/dist/", $path)),
            gzip: OnceLock::new(),
        }
    };
}

static INDEX: Asset = asset!("index.html", "text/html; charset=utf-8");

static ASSETS: [Asset; 3] = [
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("app.css", "text/css; charset=utf-8"),
    asset!("favicon.svg", "image/svg+xml"),
];

/// The page, whatever its own path: it shows the view that the path names.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method");
        return ([(header::ALLOW, "GET,HEAD")], problem).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found("no such path; /api/v1/openapi.json lists all").into_response();
    }
    let (path, is_file) = match path.strip_prefix("assets/") {
        Some(path) => (path, true),
        // A device's name may have a dot.
        None => (path, path.contains('.') && !path.starts_with("device/")),
    };
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    // A file that is not there must not look like the page.
    if asset.is_none() && is_file {
        return Problem::not_found("no such file").into_response();
    }
    answer(asset.unwrap_or(&INDEX), &headers)
}

impl Asset {
    fn gzip(&'static self) -> &'static [u8] {
        self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Writing into memory does not fail.
            let _ = encoder.write_all(self.bytes);
            encoder.finish().unwrap_or_default()
        })
    }
}

fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{:08x}\"", crc32fast::hash(asset.bytes));
    let compressed = accepts_gzip(headers);
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if compressed {
        ([(header::CONTENT_ENCODING, "gzip")], asset.gzip()).into_response()
    } else {
        asset.bytes.into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Asked for again each time, and mostly answered with nothing.
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(header::ETAG, tag);
    }
    response
}

/// Whether the browser has this version (RFC 9110, section 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    })
}

/// Whether the browser takes gzip (RFC 9110, section 12.5.3): named, or meant by `*`, and not with a weight of 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings: Vec<(&str, bool)> = fields.flat_map(|field| field.split(',')).map(coding).collect();
    let of = |wanted: &[&str]| {
        codings
            .iter()
            .find(|(name, _)| wanted.iter().any(|one| one.eq_ignore_ascii_case(name)))
            .map(|(_, taken)| *taken)
    };
    of(&["gzip", "x-gzip"]).or_else(|| of(&["*"])).unwrap_or(false)
}

/// One coding of the list: its name, and whether it is taken at all.
fn coding(text: &str) -> (&str, bool) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_browsers_that_take_it() {
        let accepts = |field: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(field))]))
        };
        for field in ["gzip", "br, GZIP;q=0.5", "deflate,gzip;q=1.0", "*", "x-gzip", "*;q=0, gzip"] {
            assert!(accepts(field), "{field}");
        }
        for field in ["", "br", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "gzipped", "gzip;q=much"] {
            assert!(!accepts(field), "{field}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}

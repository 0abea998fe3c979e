//! The page's files, built into the binary. `scripts/build-web` makes them of `crates/http/web`.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
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
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found("no such path; /api/v1/openapi.json lists all").into_response();
    }
    let path = path.strip_prefix("assets/").unwrap_or(path);
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    // A file that is not there must not look like the page.
    if asset.is_none() && path.contains('.') {
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
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let compressed = accepted.is_some_and(|accepted| accepted.contains("gzip"));
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

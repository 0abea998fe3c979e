//! Large answers under way: their bytes together are bounded, so that slow readers do not fill the memory, and shared among
//! addresses, so that slow readers keep no answer from others.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;

use crate::assets::is_known;
use crate::drawings::Drawing;
use crate::guard::Peer;
use crate::problem::Problem;
use crate::shares::{Share, Shares};

/// Of all answers together, in bytes.
const BUDGET: usize = 16 * 1024 * 1024;
/// A page of a list ends here, also where it has fewer entries than asked for.
pub(crate) const PAGE_BYTES: usize = 1024 * 1024;
/// Bytes handed to the connection at once.
const PIECE: usize = 64 * 1024;

/// The budget.
#[derive(Debug)]
pub(crate) struct Answers(Shares);

impl Default for Answers {
    fn default() -> Self {
        Self(Shares::new(BUDGET, BUDGET / 2))
    }
}

impl Answers {
    /// An answer in JSON, or nothing where the peer has it already (RFC 9110, section 13.1.2). Its bytes count until the
    /// connection has taken the last piece of it.
    pub(crate) fn json(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        drawing: Drawing,
    ) -> Result<Response, Problem> {
        let Drawing { json, tag } = drawing;
        let has_it = tag.as_ref().and_then(|tag| tag.to_str().ok()).is_some_and(|tag| is_known(headers, tag));
        let mut response =
            if has_it { StatusCode::NOT_MODIFIED.into_response() } else { self.body(peer, json)? };
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    fn body(&self, peer: &Peer, json: Bytes) -> Result<Response, Problem> {
        let share = self.0.take(peer.address, json.len(), &peer.cut);
        let share =
            share.ok_or_else(|| Problem::unavailable("too many large answers are under way; try again"))?;
        let length = json.len();
        let rest = (json, share);
        let pieces = unfold(Some(rest), |rest: Option<(Bytes, Share)>| async move {
            let (mut bytes, share) = rest?;
            let piece = bytes.split_to(PIECE.min(bytes.len()));
            let rest = if bytes.is_empty() { None } else { Some((bytes, share)) };
            Some((Ok::<_, std::convert::Infallible>(piece), rest))
        });
        let mut response = Body::from_stream(pieces).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }
}

//! Large answers under way: their bytes together are bounded, so that slow readers do not fill the memory.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Of all answers together, in bytes.
const BUDGET: usize = 16 * 1024 * 1024;
/// A page of a list ends here, also where it has fewer entries than asked for.
pub(crate) const PAGE_BYTES: usize = 1024 * 1024;
/// Bytes handed to the connection at once.
const PIECE: usize = 64 * 1024;

/// The budget.
#[derive(Debug)]
pub(crate) struct Answers(Arc<Semaphore>);

impl Default for Answers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET)))
    }
}

impl Answers {
    /// An answer in JSON. Its bytes count until the connection has taken the last piece of it.
    pub(crate) fn json(&self, json: Vec<u8>) -> Result<Response, Problem> {
        let room = u32::try_from(json.len()).ok().filter(|room| *room > 0).unwrap_or(1);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(room);
        let permit =
            permit.map_err(|_| Problem::unavailable("too many large answers are under way; try again"))?;
        let length = json.len();
        let rest = (Bytes::from(json), permit);
        let pieces = unfold(Some(rest), |rest: Option<(Bytes, OwnedSemaphorePermit)>| async move {
            let (mut bytes, permit) = rest?;
            let piece = bytes.split_to(PIECE.min(bytes.len()));
            let rest = if bytes.is_empty() { None } else { Some((bytes, permit)) };
            Some((Ok::<_, std::convert::Infallible>(piece), rest))
        });
        let mut response = Body::from_stream(pieces).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }
}

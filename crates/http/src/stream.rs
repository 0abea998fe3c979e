//! `GET /api/v1/stream`: server-sent events (HTML standard, section 9.2).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use gateway_core::ports::Clock as _;
use pipeline::clock::SystemClock;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use crate::extract::{Params, Viewer};
use crate::guard::Peer;
use crate::live::{Begin, Event, Live, devices_data, frame};
use crate::problem::Problem;
use crate::shares::{Share, Shares};
use crate::state::App;

/// Proxies and browsers give up a silent stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Streams at once, and of one address; each takes a connection and little else.
const MOST_STREAMS: usize = 200;
const MOST_OF_ONE: usize = 100;

/// Places for streams. One that must be given up ends with its connection, and the browser comes back when there is room.
pub(crate) fn shares() -> Shares {
    Shares::new(MOST_STREAMS, MOST_OF_ONE)
}

/// What of the stream is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only this device's values; alerts and overviews come all the same.
    devices: Option<String>,
}

/// One browser's stream.
struct Stream {
    live: Arc<Live>,
    device: Option<String>,
    first: VecDeque<Bytes>,
    begin: Begin,
    _share: Share,
}

/// What happens, as it happens: events `hello`, `devices`, `alert`, `overview` and `reset`, with ids to go on from.
#[utoipa::path(
    get, path = "/api/v1/stream",
    params(Query, ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event.")),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    _: Viewer,
    peer: Peer,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let share = app.streams.take(peer.address, 1, &peer.cut);
    let share = share.ok_or_else(|| Problem::unavailable("too many streams are open").retry_after(10))?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let begin = app.live.follow(last);
    let hello = format!("event: hello\ndata: {{\"time\":\"{}\"}}\n\n", SystemClock.now());
    let mut first = VecDeque::from([Bytes::from(hello)]);
    if last.is_some() && begin.missed.is_none() {
        first.push_back(reset());
    }
    let mut stream =
        Stream { live: Arc::clone(&app.live), device: query.devices, first, begin, _share: share };
    let missed = stream.begin.missed.take().unwrap_or_default();
    let missed: Vec<Bytes> = missed.iter().filter_map(|event| stream.wanted(event)).collect();
    stream.first.extend(missed);
    let frames = unfold(stream, |mut stream| async move {
        let frame = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), stream))
    });
    let mut response = Body::from_stream(frames).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn reset() -> Bytes {
    Bytes::from_static(b"event: reset\ndata: {}\n\n")
}

impl Stream {
    /// The next frame; none when the gateway stops.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.first.pop_front() {
            return Some(frame);
        }
        loop {
            match tokio::time::timeout(KEEP_ALIVE, self.begin.receiver.recv()).await {
                Err(_) => return Some(Bytes::from_static(b": \n\n")),
                Ok(Ok(event)) => {
                    if let Some(frame) = self.wanted(&event) {
                        return Some(frame);
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => return Some(reset()),
                Ok(Err(RecvError::Closed)) => return None,
            }
        }
    }

    /// What of an event this browser wants.
    fn wanted(&self, event: &Event) -> Option<Bytes> {
        let (Some(device), Some(parts)) = (&self.device, &event.parts) else {
            return Some(event.frame.clone());
        };
        let (_, part) = parts.iter().find(|(name, _)| **name == **device)?;
        Some(frame("devices", &self.live.id(event.number), devices_data(&[part]).as_bytes()))
    }
}

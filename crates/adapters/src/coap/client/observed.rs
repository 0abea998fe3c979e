//! The state machine of one observed resource: observes it (RFC 7641), polls it if the device does not support that, and
//! tries again after a pause if a request fails.
//!
//! It has no socket and no clock: the owner connects to the device when [`Observed::due`] is true, and passes on the engine's
//! outputs with the token [`Observed::token`]. The engine keeps notifications in order, renews stale observations, and
//! reports when the device does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::{Code, ContentFormat, ETag, Engine, Method, Observe, Peer, Request, Response, Token};
use gateway_core::Backoff;

use super::url::CoapUrl;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest Max-Age of a busy device that is respected.
const LONGEST_REFUSAL: Duration = Duration::from_secs(3_600);
/// How many characters of a device's diagnostic text are kept.
const LONGEST_DIAGNOSIS: usize = 120;

/// The status of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not answered yet.
    Starting,
    /// The device sends notifications.
    Observing,
    /// The device answers, but cannot be observed.
    Polling,
    /// The last failure.
    Down(String),
}

/// A representation of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) format: Option<ContentFormat>,
    pub(crate) payload: Bytes,
}

/// A representation with its ETag.
#[derive(Debug, Clone)]
struct Tagged {
    tag: ETag,
    notification: Notification,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Pauses until then.
    Waiting { until: Instant },
    /// The owner connects to the device.
    Connecting,
    /// A request waits for its answer.
    Asked { token: Token, peer: Peer, at: Instant },
    /// The device sends notifications.
    Observing { token: Token, peer: Peer },
}

/// One observed resource.
#[derive(Debug)]
pub(crate) struct Observed {
    url: Arc<CoapUrl>,
    every: Duration,
    backoff: Backoff,
    state: State,
    status: Status,
    /// The newest representation with an ETag.
    newest: Option<Tagged>,
    /// The representation whose ETag the last request contained; 2.03 refers to it.
    offered: Option<Tagged>,
}

impl Observed {
    /// Sends the first request at `start`; polls at the interval `every` if the device cannot be observed.
    pub(crate) const fn new(url: Arc<CoapUrl>, every: Duration, start: Instant) -> Self {
        Self {
            url,
            every,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            state: State::Waiting { until: start },
            status: Status::Starting,
            newest: None,
            offered: None,
        }
    }

    pub(crate) const fn url(&self) -> &Arc<CoapUrl> {
        &self.url
    }

    pub(crate) const fn status(&self) -> &Status {
        &self.status
    }

    /// The token of the engine's outputs for this resource.
    pub(crate) const fn token(&self) -> Option<Token> {
        match self.state {
            State::Asked { token, .. } | State::Observing { token, .. } => Some(token),
            State::Waiting { .. } | State::Connecting => None,
        }
    }

    /// The device that is asked.
    pub(crate) const fn peer(&self) -> Option<&Peer> {
        match &self.state {
            State::Asked { peer, .. } | State::Observing { peer, .. } => Some(peer),
            State::Waiting { .. } | State::Connecting => None,
        }
    }

    /// Failed attempts since the last answer.
    pub(crate) const fn attempts(&self) -> u32 {
        self.backoff.attempts()
    }

    /// When to call [`due`](Self::due).
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// Whether the owner must connect to the device now; it then calls [`connected`](Self::connected) or [`failed`](Self::failed).
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Waiting { until } if until <= now);
        if is_due {
            self.state = State::Connecting;
        }
        is_due
    }

    /// Sends the request to `peer`.
    pub(crate) fn connected(&mut self, peer: &Peer, engine: &mut Engine, now: Instant, chance: f64) {
        if self.state != State::Connecting {
            return;
        }
        self.offered.clone_from(&self.newest);
        match engine.request(peer, self.request(), now) {
            Ok(token) => self.state = State::Asked { token, peer: peer.clone(), at: now },
            Err(error) => self.failed(error.to_string(), now, chance),
        }
    }

    /// The connection or the request failed.
    pub(crate) fn failed(&mut self, reason: String, now: Instant, chance: f64) {
        self.pause(reason, Duration::ZERO, now, chance);
    }

    /// Takes the answer to the request, or the end of an observation.
    pub(crate) fn answered(
        &mut self,
        response: Response,
        observing: bool,
        now: Instant,
        chance: f64,
    ) -> Option<Notification> {
        let (token, peer, asked_at) = match &self.state {
            State::Asked { token, peer, at } => (*token, peer.clone(), *at),
            State::Observing { token, peer } => (*token, peer.clone(), now),
            State::Waiting { .. } | State::Connecting => return None,
        };
        let at_least = at_least(&response);
        match self.notification(response) {
            Err(reason) => {
                self.pause(reason, at_least, now, chance);
                None
            }
            Ok(notification) => {
                self.backoff.reset();
                (self.state, self.status) = if observing {
                    (State::Observing { token, peer }, Status::Observing)
                } else {
                    (State::Waiting { until: asked_at + self.every }, Status::Polling)
                };
                Some(notification)
            }
        }
    }

    /// Takes a notification that is newer than all before.
    pub(crate) fn notified(
        &mut self,
        response: Response,
        engine: &mut Engine,
        now: Instant,
        chance: f64,
    ) -> Option<Notification> {
        let State::Observing { token, .. } = self.state else { return None };
        match self.notification(response) {
            Ok(notification) => Some(notification),
            Err(reason) => {
                engine.cancel(token, now);
                self.failed(reason, now, chance);
                None
            }
        }
    }

    /// Cancels the observation at the device.
    pub(crate) fn stop(self, engine: &mut Engine, now: Instant) {
        if let Some(token) = self.token() {
            engine.cancel(token, now);
        }
    }

    fn request(&self) -> Request {
        Request {
            path: self.url.path().to_vec(),
            query: self.url.query().to_vec(),
            host: self.url.host_name().map(String::from),
            etags: self.offered.iter().map(|offered| offered.tag.clone()).collect(),
            // Also for a polled device: it may now have space for an observer.
            observe: Some(Observe::Register),
            ..Request::new(Method::Get, "")
        }
    }

    /// The representation in a response, or the error.
    fn notification(&mut self, response: Response) -> Result<Notification, String> {
        match response.code {
            Code::CONTENT => {
                let notification =
                    Notification { format: response.content_format, payload: response.payload };
                self.newest = response.etag.map(|tag| Tagged { tag, notification: notification.clone() });
                Ok(notification)
            }
            // An unchanged value is a new reading.
            Code::VALID => self.still_valid(response.etag.as_ref()).ok_or_else(|| {
                (self.newest, self.offered) = (None, None);
                "answered 2.03 (Valid) for an ETag that was not sent; asking again without ETag".to_owned()
            }),
            code => Err(refusal(code, &response.payload)),
        }
    }

    /// The representation that 2.03 confirms.
    fn still_valid(&self, tag: Option<&ETag>) -> Option<Notification> {
        let known = match tag {
            Some(tag) => [&self.newest, &self.offered].into_iter().flatten().find(|known| known.tag == *tag),
            None => self.offered.as_ref(),
        };
        known.map(|known| known.notification.clone())
    }

    fn pause(&mut self, reason: String, at_least: Duration, now: Instant, chance: f64) {
        let wait = self.backoff.next_wait(chance).max(at_least);
        self.state = State::Waiting { until: now + wait };
        self.status = Status::Down(reason);
    }
}

/// The pause that a busy device asks for with Max-Age (RFC 7252, 5.9.3.4).
fn at_least(response: &Response) -> Duration {
    let busy = [Code::SERVICE_UNAVAILABLE, Code::TOO_MANY_REQUESTS].contains(&response.code);
    match response.max_age {
        Some(max_age) if busy => max_age.min(LONGEST_REFUSAL),
        _ => Duration::ZERO,
    }
}

/// The text for an error code, with the device's diagnostic text made printable.
pub(super) fn refusal(code: Code, diagnosis: &[u8]) -> String {
    let words: String = String::from_utf8_lossy(diagnosis)
        .chars()
        .take(LONGEST_DIAGNOSIS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match words.trim() {
        "" => format!("the device answered {code}"),
        words => format!("the device answered {code}: {words}"),
    }
}

#[cfg(test)]
mod tests;

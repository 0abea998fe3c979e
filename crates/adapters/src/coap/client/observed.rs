//! One resource of a device that Riser follows: asked for with Observe (RFC 7641) until the device takes that, polled
//! where it does not, asked again after a pause where anything goes wrong.
//!
//! No socket and no clock: the owner reaches the device when [`Observed::due`] says so, and hands over what the engine
//! tells under [`Observed::token`]. The engine keeps notifications in order and renews what is stale; it tells when
//! the device does not answer that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::{Code, ContentFormat, ETag, Engine, Method, Observe, Peer, Request, Response, Token};
use gateway_core::Backoff;

use super::url::CoapUrl;

/// The first pause after something went wrong.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A device that says by Max-Age when to come back is not believed beyond this.
const LONGEST_REFUSAL: Duration = Duration::from_secs(3_600);
/// How much of a device's own words on an error is kept.
const LONGEST_DIAGNOSIS: usize = 120;

/// How it is with a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not answered yet.
    Starting,
    /// The device tells what changes.
    Observing,
    /// The device answers, and does not let itself be observed.
    Polling,
    /// Why there is nothing to be had at the moment.
    Down(String),
}

/// A state of the resource, told by the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) format: Option<ContentFormat>,
    pub(crate) payload: Bytes,
}

/// A state of the resource that the device can be asked for again by its tag.
#[derive(Debug, Clone)]
struct Tagged {
    tag: ETag,
    news: News,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do until then.
    Waiting { until: Instant },
    /// The owner looks its address up, and opens a session where it needs one.
    Reaching,
    /// Asked, not answered.
    Asked { token: Token, peer: Peer, at: Instant },
    /// Notifications come.
    Observing { token: Token, peer: Peer },
}

/// One of `observe`.
#[derive(Debug)]
pub(crate) struct Observed {
    url: Arc<CoapUrl>,
    every: Duration,
    backoff: Backoff,
    state: State,
    status: Status,
    /// The newest state that has a tag.
    newest: Option<Tagged>,
    /// The state whose tag the device was last asked with: it may say that this is still right.
    offered: Option<Tagged>,
}

impl Observed {
    /// Asks first at `start`; polls `every` so long where the device does not let itself be observed.
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

    /// What the engine tells of it comes under this.
    pub(crate) const fn token(&self) -> Option<Token> {
        match self.state {
            State::Asked { token, .. } | State::Observing { token, .. } => Some(token),
            State::Waiting { .. } | State::Reaching => None,
        }
    }

    /// Whom it is asked of.
    pub(crate) const fn peer(&self) -> Option<&Peer> {
        match &self.state {
            State::Asked { peer, .. } | State::Observing { peer, .. } => Some(peer),
            State::Waiting { .. } | State::Reaching => None,
        }
    }

    /// How often it was asked in vain since the last answer.
    pub(crate) const fn attempts(&self) -> u32 {
        self.backoff.attempts()
    }

    /// When [`due`](Self::due) is to be asked.
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// Whether the device is to be reached now; then [`reached`](Self::reached) or [`failed`](Self::failed) follows.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Waiting { until } if until <= now);
        if is_due {
            self.state = State::Reaching;
        }
        is_due
    }

    /// The device can be spoken to, as `peer`: asks.
    pub(crate) fn reached(&mut self, peer: &Peer, engine: &mut Engine, now: Instant, chance: f64) {
        if self.state != State::Reaching {
            return;
        }
        self.offered.clone_from(&self.newest);
        match engine.request(peer, self.request(), now) {
            Ok(token) => self.state = State::Asked { token, peer: peer.clone(), at: now },
            Err(error) => self.failed(error.to_string(), now, chance),
        }
    }

    /// It could not be reached, or what the engine began has ended without an answer.
    pub(crate) fn failed(&mut self, reason: String, now: Instant, chance: f64) {
        self.pause(reason, Duration::ZERO, now, chance);
    }

    /// The answer to what was asked, or the end of an observation.
    pub(crate) fn answered(
        &mut self,
        response: Response,
        observing: bool,
        now: Instant,
        chance: f64,
    ) -> Option<News> {
        let (token, peer, asked_at) = match &self.state {
            State::Asked { token, peer, at } => (*token, peer.clone(), *at),
            State::Observing { token, peer } => (*token, peer.clone(), now),
            State::Waiting { .. } | State::Reaching => return None,
        };
        let at_least = at_least(&response);
        match self.news(response) {
            Err(reason) => {
                self.pause(reason, at_least, now, chance);
                None
            }
            Ok(news) => {
                self.backoff.reset();
                (self.state, self.status) = if observing {
                    (State::Observing { token, peer }, Status::Observing)
                } else {
                    (State::Waiting { until: asked_at + self.every }, Status::Polling)
                };
                Some(news)
            }
        }
    }

    /// A notification, newer than all before.
    pub(crate) fn notified(
        &mut self,
        response: Response,
        engine: &mut Engine,
        now: Instant,
        chance: f64,
    ) -> Option<News> {
        let State::Observing { token, .. } = self.state else { return None };
        match self.news(response) {
            Ok(news) => Some(news),
            Err(reason) => {
                engine.cancel(token, now);
                self.failed(reason, now, chance);
                None
            }
        }
    }

    /// Tells the device that nobody follows it any more.
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
            // Also when it is polled: a device that had no room for an observer may have some now.
            observe: Some(Observe::Register),
            ..Request::new(Method::Get, "")
        }
    }

    /// The state that a response tells, or why it tells none.
    fn news(&mut self, response: Response) -> Result<News, String> {
        match response.code {
            Code::CONTENT => {
                let news = News { format: response.content_format, payload: response.payload };
                self.newest = response.etag.map(|tag| Tagged { tag, news: news.clone() });
                Ok(news)
            }
            // What it still is, it is now: a reading of a value that has not changed.
            Code::VALID => self.still_valid(response.etag.as_ref()).ok_or_else(|| {
                (self.newest, self.offered) = (None, None);
                "says 2.03 of a state that it was not asked about; it is asked without ETag".to_owned()
            }),
            code => Err(refusal(code, &response.payload)),
        }
    }

    /// The state that the device says is still right.
    fn still_valid(&self, tag: Option<&ETag>) -> Option<News> {
        let known = match tag {
            Some(tag) => [&self.newest, &self.offered].into_iter().flatten().find(|known| known.tag == *tag),
            None => self.offered.as_ref(),
        };
        known.map(|known| known.news.clone())
    }

    fn pause(&mut self, reason: String, at_least: Duration, now: Instant, chance: f64) {
        let wait = self.backoff.next_wait(chance).max(at_least);
        self.state = State::Waiting { until: now + wait };
        self.status = Status::Down(reason);
    }
}

/// How long a device that has no room now wants to be left alone (RFC 7252, 5.9.3.4).
fn at_least(response: &Response) -> Duration {
    let busy = [Code::SERVICE_UNAVAILABLE, Code::TOO_MANY_REQUESTS].contains(&response.code);
    match response.max_age {
        Some(max_age) if busy => max_age.min(LONGEST_REFUSAL),
        _ => Duration::ZERO,
    }
}

/// A code that is no answer, with the device's own words on it, fit to be printed.
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

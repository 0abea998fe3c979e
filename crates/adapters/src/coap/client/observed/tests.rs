//! Against a second engine, which plays the device, with a network and a clock of our own.

use coap_link::{Output, RequestId, Settings};

use super::*;

const EVERY: Duration = Duration::from_secs(60);
const TEXT: ContentFormat = ContentFormat::TEXT;

/// Riser's engine with one observed resource, the device's engine, and what lies between them.
struct Bench {
    observed: Observed,
    riser: Engine,
    device: Engine,
    now: Instant,
    begin: Instant,
    /// Whether datagrams arrive.
    connected: bool,
    answer: fn(&Request) -> Answer,
    asked: Vec<(Duration, Request)>,
    received: Vec<(Duration, String)>,
}

enum Answer {
    /// Observable, under the name `x`.
    Observable(Response),
    Plain(Response),
}

fn text(value: &str) -> Response {
    Response::content(TEXT, value.to_owned())
}

fn observable(_: &Request) -> Answer {
    Answer::Observable(text("20"))
}

impl Bench {
    fn new(answer: fn(&Request) -> Answer) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let url = Arc::new("coap://ahu-3.lan/a/t?unit=C".parse().unwrap());
        Self {
            observed: Observed::new(url, EVERY, now),
            riser: Engine::new(Settings { seed: 1, ..Settings::default() }),
            device: Engine::new(Settings { seed: 2, ..Settings::default() }),
            now,
            begin: now,
            connected: true,
            answer,
            asked: Vec::new(),
            received: Vec::new(),
        }
    }

    fn device_peer() -> Peer {
        Peer::unsecured("10.0.0.9:5683".parse().unwrap())
    }

    fn riser_peer() -> Peer {
        Peer::unsecured("127.0.0.1:40000".parse().unwrap())
    }

    /// The device loses all that it knows.
    fn reboot(&mut self) {
        self.device = Engine::new(Settings { seed: 3, ..Settings::default() });
    }

    fn at(&self) -> Duration {
        self.now - self.begin
    }

    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            if self.observed.due(self.now) {
                self.observed.connected(&Self::device_peer(), &mut self.riser, self.now, 0.0);
            }
            while let Some(output) = self.riser.poll() {
                quiet = false;
                self.riser_says(output);
            }
            while let Some(output) = self.device.poll() {
                quiet = false;
                self.device_says(output);
            }
            if quiet {
                return;
            }
        }
    }

    fn riser_says(&mut self, output: Output) {
        let notification = match output {
            Output::Send { bytes, .. } => {
                if self.connected {
                    self.device.receive(&Self::riser_peer(), &bytes, self.now);
                }
                return;
            }
            Output::Response { token, result, observing, .. } => {
                assert_eq!(self.observed.token(), Some(token));
                match result {
                    Ok(response) => self.observed.answered(response, observing, self.now, 0.0),
                    Err(failure) => {
                        self.observed.failed(failure.to_string(), self.now, 0.0);
                        None
                    }
                }
            }
            Output::Notification { token, response, .. } => {
                assert_eq!(self.observed.token(), Some(token));
                self.observed.notified(response, &mut self.riser, self.now, 0.0)
            }
            other => panic!("{other:?}"),
        };
        let at = self.at();
        self.received.extend(
            notification.map(|notification| (at, String::from_utf8(notification.payload.to_vec()).unwrap())),
        );
    }

    fn device_says(&mut self, output: Output) {
        match output {
            Output::Send { bytes, .. } if self.connected => {
                self.riser.receive(&Self::device_peer(), &bytes, self.now);
            }
            Output::Request { id, request, .. } => self.serve(id, request),
            _ => {}
        }
    }

    fn serve(&mut self, id: RequestId, request: Request) {
        match (self.answer)(&request) {
            Answer::Observable(response) => self.device.respond_observable(id, "x", response, self.now),
            Answer::Plain(response) => self.device.respond(id, response, self.now),
        }
        self.asked.push((self.at(), request));
    }

    fn notify(&mut self, response: Response) {
        self.device.notify("x", response, self.now);
        self.pump();
    }

    /// Lets time go by, doing what is due when it is due.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.pump();
        loop {
            let due =
                [self.riser.next_deadline(), self.device.next_deadline(), self.observed.next_deadline()];
            let Some(due) = due.into_iter().flatten().min().filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.riser.timeout(self.now);
            self.device.timeout(self.now);
            self.pump();
        }
        self.now = end;
    }

    fn received(&self) -> Vec<&str> {
        self.received.iter().map(|(_, text)| &**text).collect()
    }

    fn why_down(&self) -> &str {
        match self.observed.status() {
            Status::Down(reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_the_device_tells_is_heard_and_it_is_asked_for_what_the_url_says() {
    let mut bench = Bench::new(observable);
    assert_eq!(bench.observed.status(), &Status::Starting);
    bench.pass(1);
    bench.notify(text("21"));
    bench.notify(text("22"));
    assert_eq!(bench.received(), ["20", "21", "22"]);
    assert_eq!(bench.observed.status(), &Status::Observing);
    let [(_, request)] = &bench.asked[..] else { panic!("{:?}", bench.asked) };
    assert_eq!(
        (&request.path[..], &request.query[..]),
        (&["a".into(), "t".into()][..], &["unit=C".into()][..])
    );
    assert_eq!((request.host.as_deref(), request.observe), (Some("ahu-3.lan"), Some(Observe::Register)));
}

#[test]
fn a_device_that_lost_its_memory_is_asked_again_when_the_value_is_stale() {
    let mut bench = Bench::new(observable);
    bench.pass(1);
    bench.reboot();
    bench.notify(text("lost: nobody observes"));
    bench.pass(76);
    assert_eq!((bench.asked.len(), bench.received()), (2, vec!["20", "20"]));
    bench.notify(text("21"));
    assert_eq!(bench.received().last(), Some(&"21"));
    assert_eq!(bench.observed.status(), &Status::Observing);
}

#[test]
fn a_device_that_died_is_asked_ever_less_often_and_heard_again_when_it_is_back() {
    let mut bench = Bench::new(observable);
    bench.pass(1);
    bench.connected = false;
    bench.pass(60 + 15 + 93);
    assert_eq!(bench.why_down(), "no answer: the device is off, out of reach or overloaded");
    bench.pass(3_600);
    assert!(matches!(bench.observed.status(), Status::Down(_)));
    assert!(
        bench.observed.backoff.attempts() < 20,
        "{} attempts in an hour",
        bench.observed.backoff.attempts()
    );
    bench.connected = true;
    bench.pass(301);
    assert!(bench.received().len() > 1 && *bench.observed.status() == Status::Observing);
    assert_eq!(bench.observed.backoff.attempts(), 0);
}

#[test]
fn a_device_that_ignores_observe_is_polled_and_asked_whether_it_has_learned_it() {
    let mut bench = Bench::new(|_| Answer::Plain(text("20")));
    bench.pass(125);
    assert_eq!(bench.received(), ["20", "20", "20"]);
    assert_eq!(bench.asked.iter().map(|(at, _)| at.as_secs()).collect::<Vec<_>>(), [0, 60, 120]);
    assert_eq!(bench.observed.status(), &Status::Polling);
    bench.answer = observable;
    bench.pass(60);
    bench.notify(text("21"));
    assert_eq!((bench.received().last(), bench.observed.status()), (Some(&"21"), &Status::Observing));
}

#[test]
fn a_value_that_is_still_valid_by_its_tag_is_a_reading() {
    // The engine answers 2.03 where the tag that is asked about is still right.
    let mut bench = Bench::new(|_| Answer::Plain(text("20").with_etag(ETag::new(b"one").unwrap())));
    bench.pass(61);
    assert_eq!(bench.received(), ["20", "20"]);
    assert_eq!(bench.asked[1].1.etags, [ETag::new(b"one").unwrap()]);
    bench.answer = |_| Answer::Plain(text("21").with_etag(ETag::new(b"two").unwrap()));
    bench.pass(120);
    assert_eq!(bench.received(), ["20", "20", "21", "21"]);
    bench.answer = |_| Answer::Plain(text("22"));
    bench.pass(120);
    assert_eq!(bench.asked.last().unwrap().1.etags, [], "there is no tag any more");
}

#[test]
fn a_2_03_of_a_state_that_nobody_knows_is_an_error_and_the_next_question_has_no_tag() {
    let mut bench = Bench::new(|_| Answer::Plain(text("20").with_etag(ETag::new(b"one").unwrap())));
    bench.pass(1);
    bench.answer = |_| Answer::Plain(Response::new(Code::VALID).with_etag(ETag::new(b"odd").unwrap()));
    bench.pass(60);
    assert!(bench.why_down().contains("2.03"), "{}", bench.why_down());
    bench.answer = observable;
    bench.pass(5);
    assert_eq!(bench.asked.last().unwrap().1.etags, []);
    assert_eq!((bench.received(), bench.observed.status()), (vec!["20", "20"], &Status::Observing));
    bench.notify(Response::new(Code::VALID).with_etag(ETag::new(b"odd").unwrap()));
    assert!(matches!(bench.observed.status(), Status::Down(_)));
    bench.pass(1);
    assert_eq!(bench.device.memory_use().observers, 0, "the observation was cancelled at the device");
}

#[test]
fn an_error_is_told_in_the_devices_words_and_asked_about_ever_less_often() {
    let mut bench = Bench::new(|_| Answer::Plain(Response::error(Code::NOT_FOUND, "no\x1b such thing")));
    bench.pass(1);
    assert_eq!(bench.why_down(), "the device answered 4.04: no  such thing");
    bench.pass(30);
    let asked: Vec<u64> = bench.asked.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(asked, [0, 2, 6, 14, 30]);
    bench.pass(100_000);
    let (first, last) = (bench.asked[bench.asked.len() - 2].0, bench.asked[bench.asked.len() - 1].0);
    assert_eq!(last - first, LONGEST_PAUSE);
    assert_eq!(bench.received().len(), 0);
}

#[test]
fn a_device_without_room_is_left_alone_as_long_as_it_says_and_no_longer_than_an_hour() {
    let busy = |_: &Request| {
        let refusal = Response::new(Code::SERVICE_UNAVAILABLE);
        Answer::Plain(refusal.with_max_age(Duration::from_secs(40)))
    };
    let mut bench = Bench::new(busy);
    bench.pass(81);
    let asked: Vec<u64> = bench.asked.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(asked, [0, 40, 80]);
    bench.answer = |_| {
        let refusal = Response::new(Code::SERVICE_UNAVAILABLE);
        Answer::Plain(refusal.with_max_age(Duration::from_secs(86_400)))
    };
    bench.pass(40 + 2 * 3_600);
    assert_eq!(bench.asked.len(), 6);
}

#[test]
fn an_observation_that_the_device_ends_is_begun_again() {
    let mut bench = Bench::new(observable);
    bench.pass(1);
    bench.notify(Response::error(Code::NOT_FOUND, "unplugged"));
    assert_eq!(bench.why_down(), "the device answered 4.04: unplugged");
    bench.pass(3);
    assert_eq!((bench.received(), bench.observed.status()), (vec!["20", "20"], &Status::Observing));
}

#[test]
fn what_cannot_be_reached_is_tried_again_after_a_pause_with_chance_in_it() {
    let mut bench = Bench::new(observable);
    assert!(bench.observed.due(bench.now));
    assert!(!bench.observed.due(bench.now), "once is enough");
    bench.observed.failed("no such name".to_owned(), bench.now, 0.5);
    assert_eq!(bench.observed.next_deadline(), Some(bench.now + Duration::from_millis(1_500)));
    assert_eq!(bench.why_down(), "no such name");
    bench.pass(2);
    assert_eq!(bench.received(), ["20"]);
}

#[test]
fn an_engine_without_room_is_a_reason_to_wait() {
    let mut bench = Bench::new(observable);
    bench.riser = Engine::new(Settings { exchanges: 0, ..Settings::default() });
    bench.pass(0);
    assert!(bench.why_down().contains("under way already"), "{}", bench.why_down());
}

#[test]
fn the_device_hears_when_nobody_follows_it_any_more() {
    let mut bench = Bench::new(observable);
    bench.pass(1);
    assert_eq!(bench.device.memory_use().observers, 1);
    let nobody = Observed::new(Arc::clone(bench.observed.url()), EVERY, bench.now + EVERY);
    std::mem::replace(&mut bench.observed, nobody).stop(&mut bench.riser, bench.now);
    bench.pump();
    assert_eq!(bench.device.memory_use().observers, 0);
}

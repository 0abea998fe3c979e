use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use gateway_core::{AlertKind, AlertState, Severity, Timestamp};
use outbox::{Entry, Options, Outbox, PerLane, SinkOptions, Start, Totals, WhenFull};
use record::{Alert, Reading, Record};
use tempfile::TempDir;
use testkit::clock::ManualClock;

use super::*;

const NAME: &str = "test.sink";

/// An outbox in a folder of its own, with one sink.
struct Fixture {
    handle: outbox::Handle,
    mark: u64,
    _folder: TempDir,
}

fn record(lane: Lane, text: &str) -> Record {
    match lane {
        Lane::Readings => Record::Reading(Reading {
            gateway: "hq".to_owned(),
            device: text.to_owned(),
            zone: None,
            protocol: None,
            time: Timestamp::EPOCH,
            number: 0,
            same_time: false,
            metrics: Vec::new(),
        }),
        Lane::Alerts | Lane::Aggregates => Record::Alert(Alert {
            gateway: "hq".to_owned(),
            device: text.to_owned(),
            zone: None,
            protocol: None,
            metric: None,
            rule: "silent".to_owned(),
            kind: AlertKind::Silent,
            state: AlertState::Raised,
            severity: Severity::Warning,
            value: None,
            score: None,
            anomaly_kind: None,
            expected: None,
            since: Timestamp::EPOCH,
            at: Timestamp::EPOCH,
            message: String::new(),
            limit: None,
            notice: None,
        }),
    }
}

impl Fixture {
    fn new() -> Fixture {
        let folder = TempDir::new().unwrap();
        let options = Options {
            max_bytes: 1 << 30,
            when_full: WhenFull::DropOldest,
            producer_repeats: true,
            spill_after: Duration::ZERO,
        };
        let sink = SinkOptions { name: NAME.into(), lanes: PerLane::from_fn(|_| true), start: Start::Now };
        let (outbox, _) = Outbox::open(&folder.path().join("outbox"), options, &[sink]).unwrap();
        let (handle, _thread) = outbox::spawn(outbox).unwrap();
        Fixture { handle, mark: 0, _folder: folder }
    }

    async fn append(&mut self, lane: Lane, texts: &[&str]) {
        let entry = |text: &&str| Entry::new(lane, record(lane, text).encode(), Vec::new()).unwrap();
        self.mark += 1;
        self.handle.append(self.mark, texts.iter().map(entry).collect(), 0).await.unwrap();
    }

    fn start(&self, receiver: &Receiver, limits: Limits) -> RunningSink {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let sink = Box::new(receiver.clone());
        RunningSink::start(NAME, sink, limits, Lane::ALL.to_vec(), self.handle.sink(NAME), clock)
    }

    async fn until(&self, is_reached: impl Fn(&Totals) -> bool) {
        let mut status = self.handle.status();
        status.wait_for(|status| is_reached(&status.sink(NAME).unwrap().totals)).await.unwrap();
    }
}

/// What comes of a write.
enum Answer {
    Outcomes(Vec<Outcome>),
    Error(WriteError),
    Never,
    Panic,
}

/// A receiver in memory: it answers what it was told to, and then takes everything.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    batches: Arc<Mutex<Vec<Vec<String>>>>,
    /// Why its other work fails, attempt by attempt.
    rest_errors: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Receiver {
    fn answering(answers: impl IntoIterator<Item = Answer>) -> Receiver {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Receiver { answers, ..Receiver::default() }
    }

    fn batches(&self) -> Vec<String> {
        self.batches.lock().unwrap().iter().map(|batch| batch.join(" ")).collect()
    }
}

#[async_trait]
impl Sink for Receiver {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let text = |item: &Item| match &item.record {
            Record::Reading(reading) => reading.device.clone(),
            Record::Alert(alert) => alert.device.clone(),
            Record::Aggregate(_) => "?".to_owned(),
        };
        self.batches.lock().unwrap().push(batch.iter().map(text).collect());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            None => Ok(vec![Outcome::Taken; batch.len()]),
            Some(Answer::Outcomes(outcomes)) => Ok(outcomes),
            Some(Answer::Error(error)) => Err(error),
            Some(Answer::Never) => std::future::pending().await,
            Some(Answer::Panic) => panic!("a test's panic"),
        }
    }

    async fn rest(&mut self) -> Result<(), WriteError> {
        let error = self.rest_errors.lock().unwrap().pop_front();
        match error {
            Some("panic") => panic!("a test's panic"),
            Some(error) => Err(WriteError::retry(error)),
            None => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(())
            }
        }
    }
}

fn at_once(records: usize) -> Limits {
    Limits { records, linger: Duration::ZERO, ..Limits::default() }
}

#[tokio::test]
async fn alerts_go_first_and_batches_have_the_records_of_one_lane_in_order() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1"]).await;
    fixture.append(Lane::Aggregates, &["a1", "a2", "a3"]).await;
    fixture.append(Lane::Alerts, &["hot"]).await;
    let receiver = Receiver::default();
    let sink = fixture.start(&receiver, at_once(2));
    fixture.until(|totals| totals.published.entries == 5).await;
    assert_eq!(receiver.batches(), ["hot", "a1 a2", "a3", "r1"]);
    assert!(sink.state().borrow().is_connected);
    assert_eq!(sink.state().borrow().delivered, 5);
    sink.stop().await;
}

#[tokio::test]
async fn a_batch_waits_for_more_but_alerts_do_not() {
    let mut fixture = Fixture::new();
    let receiver = Receiver::default();
    let limits = Limits { linger: Duration::from_millis(300), ..Limits::default() };
    let sink = fixture.start(&receiver, limits);
    fixture.append(Lane::Readings, &["r1"]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    fixture.append(Lane::Readings, &["r2"]).await;
    fixture.until(|totals| totals.published.entries == 2).await;
    assert_eq!(receiver.batches(), ["r1 r2"]);
    sink.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_dropped_and_what_is_put_off_is_written_again() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1", "r2", "r3"]).await;
    let outcomes = vec![Outcome::Later, Outcome::Never("no such column".to_owned()), Outcome::Taken];
    let receiver = Receiver::answering([Answer::Outcomes(outcomes)]);
    let sink = fixture.start(&receiver, at_once(9));
    fixture.until(|totals| totals.published.entries + totals.dropped().entries == 3).await;
    assert_eq!(receiver.batches(), ["r1 r2 r3", "r1"]);
    let totals = fixture.handle.status().borrow().sink(NAME).unwrap().totals.clone();
    assert_eq!((totals.published.entries, totals.dropped_refused.entries), (2, 1));
    sink.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_written_again_as_a_whole_and_the_error_can_be_seen() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1", "r2"]).await;
    let receiver = Receiver::answering([Answer::Error(WriteError::retry("refused: wrong password"))]);
    let sink = fixture.start(&receiver, at_once(9));
    let mut state = sink.state();
    let failed = state.wait_for(|state| state.last_error.is_some()).await.unwrap().clone();
    assert_eq!((failed.is_connected, failed.last_error.as_deref()), (false, Some("refused: wrong password")));
    fixture.until(|totals| totals.published.entries == 2).await;
    assert_eq!(receiver.batches(), ["r1 r2", "r1 r2"]);
    assert_eq!(sink.state().borrow().last_error, None);
    sink.stop().await;
}

#[tokio::test]
async fn a_sink_that_panics_is_tried_again() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1"]).await;
    let receiver = Receiver::answering([Answer::Panic]);
    let sink = fixture.start(&receiver, at_once(9));
    let mut state = sink.state();
    let failed = state.wait_for(|state| state.last_error.is_some()).await.unwrap().clone();
    assert!(failed.last_error.unwrap().contains("panicked"));
    fixture.until(|totals| totals.published.entries == 1).await;
    sink.stop().await;
}

#[tokio::test]
async fn an_error_while_nothing_is_queued_can_be_seen_until_it_is_gone_and_is_tried_again() {
    let mut fixture = Fixture::new();
    let receiver = Receiver::default();
    receiver.rest_errors.lock().unwrap().extend(["no space", "panic"]);
    let sink = fixture.start(&receiver, at_once(9));
    let mut state = sink.state();
    let is_full = |state: &SinkState| state.last_error.as_deref() == Some("no space");
    state.wait_for(is_full).await.unwrap();
    // Records are written meanwhile, and the error stays.
    fixture.append(Lane::Readings, &["r1"]).await;
    fixture.until(|totals| totals.published.entries == 1).await;
    let written = state.wait_for(|state| state.delivered == 1).await.unwrap().clone();
    assert!(is_full(&written) && written.is_connected, "{written:?}");
    let panicked = |state: &SinkState| state.last_error.as_ref().is_some_and(|why| why.contains("panicked"));
    state.wait_for(panicked).await.unwrap();
    state.wait_for(|state| state.last_error.is_none()).await.unwrap();
    sink.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_divided_and_a_record_that_is_too_large_is_dropped() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1", "r2", "r3"]).await;
    let too_large = || Answer::Error(WriteError::Refused { reason: "413".to_owned() });
    let receiver = Receiver::answering([too_large(), too_large()]);
    let sink = fixture.start(&receiver, at_once(9));
    fixture.until(|totals| totals.published.entries + totals.dropped().entries == 3).await;
    assert_eq!(receiver.batches(), ["r1 r2 r3", "r1", "r2 r3"]);
    let totals = fixture.handle.status().borrow().sink(NAME).unwrap().totals.clone();
    assert_eq!((totals.published.entries, totals.dropped_refused.entries), (2, 1));
    sink.stop().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_after_the_time_limit_and_holds_up_no_stop() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Readings, &["r1"]).await;
    let receiver = Receiver::answering([Answer::Never]);
    let limits = Limits { timeout: Duration::from_millis(50), ..at_once(9) };
    let sink = fixture.start(&receiver, limits);
    fixture.until(|totals| totals.published.entries == 1).await;
    assert_eq!(receiver.batches(), ["r1", "r1"]);
    sink.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_kept_has_the_same_records_when_it_is_written_again() {
    let mut fixture = Fixture::new();
    fixture.append(Lane::Aggregates, &["a1", "a2"]).await;
    let limits = Limits { keeps_batches: true, ..at_once(10) };
    let away = || Answer::Error(WriteError::retry("away"));
    let receiver = Receiver::answering([away(), Answer::Never]);
    let sink = fixture.start(&receiver, limits);
    while receiver.batches().len() < 2 {
        fixture.append(Lane::Aggregates, &["later"]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sink.stop().await;
    // As after a restart: another runner, which knows of the batch only what is stored.
    let sink = fixture.start(&receiver, Limits { records: 1, ..limits });
    fixture.until(|totals| totals.queued.entries == 0).await;
    sink.stop().await;
    let batches = receiver.batches();
    assert_eq!(batches.first(), batches.get(2), "{batches:?}");
    assert!(batches.iter().skip(3).all(|batch| batch == "later"), "{batches:?}");
}

//! Real histories and models in a folder; only the clock is the test's.

use std::collections::BTreeSet;
use std::fs;

use anomaly::multivariate::MIN_WINDOWS;
use gateway_core::{MetricKind, Timestamp};
use history::{Row, Store, Summary};
use tempfile::TempDir;
use testkit::clock::ManualClock;
use tokio::time::timeout;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
const WINDOW: Duration = Duration::from_secs(300);
const LIMIT: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// A data directory.
struct Fixture {
    folder: TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&crate::training::local_history::path(folder.path())).unwrap();
        Self { folder, store }
    }

    /// Windows one after the other that end at `end`: the more power, the more flow; the meter only rises.
    fn pump(&mut self, device: &str, windows: usize, end: Timestamp) {
        let rows: Vec<(Box<str>, Row)> =
            (0..windows).map(|index| (device.into(), row(index, windows, end))).collect();
        self.store.append(&rows).unwrap();
    }

    fn look(&self) -> Look {
        Look {
            history: crate::training::local_history::path(self.folder.path()),
            folder: models::folder(self.folder.path()),
            kinds: [("meter".to_owned(), MetricKind::Counter)].into(),
            retrain: WEEK,
            now: now(),
        }
    }

    fn due(&self) -> Vec<Box<str>> {
        self.look().due(&BTreeSet::new()).unwrap()
    }

    /// Trains the pump on what there is.
    fn train(&self) {
        let look = self.look();
        file::write(&look.folder, &look.fit("pump").unwrap()).unwrap();
    }

    fn retrainer(&self, plan: Plan) -> (Retrainer, watch::Sender<Plan>, mpsc::Receiver<Control>) {
        let look = self.look();
        let (control, controls) = mpsc::channel(8);
        let (sender, plan) = watch::channel(plan);
        let retrainer = Retrainer {
            history: look.history,
            folder: look.folder,
            plan,
            models: Arc::default(),
            control,
            clock: Arc::new(ManualClock::new(now())),
            attempts: Attempts::default(),
            trouble: None,
        };
        (retrainer, sender, controls)
    }
}

fn row(index: usize, windows: usize, end: Timestamp) -> Row {
    let left = u32::try_from(windows - index).unwrap();
    let turn = f64::from(u32::try_from(index).unwrap());
    let power = 50.0 + 30.0 * (turn * 0.7).sin();
    let flow = 2.0 + power / 20.0 + 0.1 * (turn * 1.9).cos();
    let metric =
        |name: &str, avg: f64| (name.into(), Summary { avg, min: avg, max: avg, std: 0.0, count: 1 });
    let metrics = vec![metric("power", power), metric("flow", flow), metric("meter", turn.rem_euclid(97.0))];
    let start = end - WINDOW * left;
    Row { start, end: start + WINDOW, revision: 0, metrics }
}

fn plan(retrain: Option<Duration>) -> Plan {
    Plan { retrain, kinds: Kinds::default() }
}

fn learned(control: Option<Control>) -> file::Stored {
    match control {
        Some(Control::Learn(stored)) => *stored,
        _ => panic!("it asks for nothing else"),
    }
}

#[test]
fn a_device_without_a_model_is_due_when_it_has_enough_windows() {
    let mut fixture = Fixture::new();
    fixture.pump("few", MIN_WINDOWS - 1, now());
    fixture.pump("pump", MIN_WINDOWS, now());
    assert_eq!(fixture.due(), ["pump".into()]);
    let waiting = BTreeSet::from(["pump".into()]);
    assert_eq!(fixture.look().due(&waiting).unwrap(), []);
}

#[test]
fn a_device_with_a_model_is_due_when_retrain_has_passed_since_its_range_and_there_are_windows_of_then() {
    let mut fixture = Fixture::new();
    fixture.pump("pump", 300, now() - WEEK - WINDOW);
    fixture.train();
    assert_eq!(fixture.due(), [], "silent since: the same windows would give the same model");
    fixture.pump("pump", 300, now() - 2 * WINDOW);
    assert_eq!(fixture.due(), [], "a week has not passed");
    fixture.pump("pump", 300, now());
    assert_eq!(fixture.due(), ["pump".into()]);
    fixture.train();
    assert_eq!(fixture.due(), []);
}

#[test]
fn windows_of_a_clock_that_was_ahead_count_for_nothing() {
    let mut fixture = Fixture::new();
    fixture.pump("pump", 300, now() + 365 * DAY);
    assert_eq!(fixture.due(), []);
    let later = Look { now: now() + 365 * DAY, ..fixture.look() };
    file::write(&later.folder, &later.fit("pump").unwrap()).unwrap();
    fixture.pump("pump", 300, now());
    assert_eq!(fixture.due(), ["pump".into()], "its range ends in the future");
    fixture.train();
    assert_eq!(fixture.look().fit("pump").unwrap().to, now());
    assert_eq!(fixture.due(), []);
}

#[test]
fn a_damaged_model_is_replaced_and_one_of_a_later_version_is_not() {
    let mut fixture = Fixture::new();
    fixture.pump("pump", 300, now());
    fixture.train();
    let path = file::path(&fixture.look().folder, "pump");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(fixture.due(), ["pump".into()]);

    let mut later = whole;
    later[8..12].copy_from_slice(&99_u32.to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&later[8..12]);
    sum.update(&later[16..]);
    later[12..16].copy_from_slice(&sum.finalize().to_le_bytes());
    fs::write(&path, &later).unwrap();
    assert_eq!(fixture.due(), []);
}

#[test]
fn a_model_is_fitted_to_what_the_history_has_without_counters() {
    let mut fixture = Fixture::new();
    fixture.pump("pump", 300, now());
    let stored = fixture.look().fit("pump").unwrap();
    assert_eq!((stored.from, stored.to, stored.windows), (now() - WINDOW * 300, now(), 300));
    assert_eq!(stored.model.metrics().collect::<Vec<_>>(), ["flow", "power"]);
    assert!(matches!(fixture.look().fit("unknown"), Err(Failure::Unfit(_))));
}

#[test]
fn where_nothing_was_stored_yet_nothing_is_due_and_a_history_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut look = Fixture::new().look();
    look.history = folder.path().join("history.db");
    assert_eq!(look.due(&BTreeSet::new()).unwrap(), []);
    fs::write(&look.history, b"").unwrap();
    assert_eq!(look.due(&BTreeSet::new()).unwrap(), [], "a new file that has no tables yet");
    fs::write(&look.history, vec![0x5a; 8192]).unwrap();
    assert!(matches!(look.due(&BTreeSet::new()), Err(Failure::History(_))));
}

#[test]
fn what_failed_waits_and_is_tried_again() {
    let mut attempts = Attempts::default();
    attempts.failed("pump", &Failure::Panic, now());
    let waiting = |attempts: &Attempts, at| attempts.waiting(at, DAY).len();
    assert_eq!(waiting(&attempts, now() + DAY - WINDOW), 1);
    assert_eq!(waiting(&attempts, now() + DAY), 0);
    assert_eq!(waiting(&attempts, now() - WINDOW), 0, "the clock was set back");
    attempts.succeeded("pump");
    assert_eq!(waiting(&attempts, now()), 0);
}

#[tokio::test]
async fn a_panic_in_training_is_a_failure() {
    let outcome = blocking::<()>(|| panic!("on purpose")).await;
    assert!(matches!(outcome, Err(Failure::Panic)));
}

#[tokio::test]
async fn what_is_due_is_stored_and_handed_to_the_pipeline_and_who_cannot_be_trained_holds_up_nobody() {
    let mut fixture = Fixture::new();
    let same = |index| Row { metrics: Vec::new(), ..row(index, 300, now()) };
    let bare: Vec<(Box<str>, Row)> = (0..300).map(|index| ("bare".into(), same(index))).collect();
    fixture.store.append(&bare).unwrap();
    fixture.pump("pump", 300, now());
    assert_eq!(fixture.due(), ["bare".into(), "pump".into()]);
    let (mut retrainer, _plan, mut controls) = fixture.retrainer(plan(Some(WEEK)));
    timeout(LIMIT, retrainer.look(WEEK, Kinds::default())).await.unwrap();
    let stored = learned(controls.try_recv().ok());
    assert_eq!(&*stored.device, "pump");
    assert_eq!(file::read(&file::path(&fixture.look().folder, "pump")).unwrap(), stored);
    assert!(controls.try_recv().is_err(), "one device alone could be trained");
    assert_eq!(retrainer.attempts.waiting(now(), DAY), BTreeSet::from(["bare".into()]));
}

#[tokio::test]
async fn no_model_is_stored_while_a_reload_reads_them_and_never_means_never() {
    let mut fixture = Fixture::new();
    fixture.pump("pump", 300, now());
    let (retrainer, plans, mut controls) = fixture.retrainer(plan(None));
    let models = Arc::clone(&retrainer.models);
    let held = models.lock().await;
    let running = tokio::spawn(retrainer.run());
    plans.send_replace(plan(Some(WEEK)));
    // Longer than a training takes: nothing can be waited for that must not happen.
    assert!(timeout(Duration::from_secs(2), controls.recv()).await.is_err());
    assert!(!fixture.look().folder.exists());
    drop(held);
    learned(timeout(LIMIT, controls.recv()).await.unwrap());
    drop(plans);
    timeout(LIMIT, running).await.unwrap().unwrap();
}

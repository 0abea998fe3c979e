//! Adapters that fail in every way, beside one that must go on undisturbed. Time is tokio's, paused.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use gateway_core::ports::{AdapterError, AdapterState};

use gateway_core::ports::Adapter;

use super::*;

/// What a little adapter does when it runs.
#[derive(Clone, Copy)]
enum Does {
    /// Hands over an uplink a second until it is stopped.
    Works,
    /// Returns an error at once.
    Fails,
    Panics,
    /// Returns although it was not asked to.
    Ends,
    /// Never looks at `stop`, not even while the pipeline is full.
    IgnoresStop,
    /// Fails the first time, works from then on.
    Recovers,
}

struct Little {
    id: AdapterId,
    does: Does,
    /// How many were made before this one.
    before: usize,
}

#[async_trait]
impl Adapter for Little {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let failed = || AdapterError { adapter: self.id.clone(), reason: "the cable is out".to_owned() };
        match self.does {
            Does::Fails => Err(failed()),
            Does::Recovers if self.before == 0 => Err(failed()),
            Does::Panics => panic!("number {}", self.before),
            Does::Ends => Ok(()),
            Does::IgnoresStop => loop {
                context.condition.up();
                let _ = context.uplinks.send(vec![testkit::uplink(self.id.clone(), "1")]).await;
            },
            Does::Works | Does::Recovers => {
                context.condition.up();
                let AdapterContext { stop, uplinks, .. } = context;
                let work = async {
                    loop {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let _ = uplinks.send(vec![testkit::uplink(self.id.clone(), "1")]).await;
                    }
                };
                stop.run_until_cancelled(work).await;
                Ok(())
            }
        }
    }
}

/// A supervisor with a pipeline's end that counts what each adapter handed over.
struct Fixture {
    supervisor: Supervisor,
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    made: Arc<Mutex<BTreeMap<String, Arc<AtomicUsize>>>>,
}

impl Fixture {
    fn new(capacity: usize) -> Self {
        let (sender, uplinks) = mpsc::channel(capacity);
        let clock = Arc::new(pipeline::clock::SystemClock);
        let supervisor = Supervisor::new(sender, Commanders::default(), clock, ReadModel::default());
        Self { supervisor, uplinks, made: Arc::default() }
    }

    fn blueprint(&self, name: &str, does: Does) -> Blueprint {
        let id = AdapterId::new("little", name);
        let made = Arc::clone(self.made.lock().unwrap().entry(name.to_owned()).or_default());
        let make_id = id.clone();
        let make: Make = Box::new(move || {
            let before = made.fetch_add(1, Ordering::SeqCst);
            Box::new(Little { id: make_id.clone(), does, before })
        });
        Blueprint { id, fingerprint: does as u64, make }
    }

    async fn run(&mut self, adapters: &[(&str, Does)]) {
        let blueprints = adapters.iter().map(|(name, does)| self.blueprint(name, *does)).collect();
        self.supervisor.reconcile(blueprints).await;
    }

    fn made(&self, name: &str) -> usize {
        self.made.lock().unwrap()[name].load(Ordering::SeqCst)
    }

    fn health(&self, name: &str) -> AdapterHealth {
        self.supervisor.read_model.adapters()[&format!("little.{name}")].clone()
    }

    fn last_error(&self, name: &str) -> String {
        self.health(name).last_error.expect("an error").1
    }

    /// What the adapters hand over in `seconds`, by adapter.
    async fn count_uplinks(&mut self, seconds: u64) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        while let Ok(Some(batch)) = tokio::time::timeout_at(end, self.uplinks.recv()).await {
            for uplink in batch {
                *counts.entry(uplink.adapter.to_string()).or_default() += 1;
            }
        }
        counts
    }
}

#[tokio::test(start_paused = true)]
async fn adapters_that_fail_are_started_again_and_the_one_beside_them_goes_on() {
    let mut fixture = Fixture::new(64);
    fixture
        .run(&[
            ("works", Does::Works),
            ("fails", Does::Fails),
            ("panics", Does::Panics),
            ("ends", Does::Ends),
        ])
        .await;
    let counts = fixture.count_uplinks(300).await;
    assert!(counts["little.works"] >= 299, "{counts:?}");
    assert_eq!(fixture.made("works"), 1);
    for name in ["fails", "panics", "ends"] {
        // Waits of 1, 2, 4 … 60 s, each cut by up to a half: between 9 and 20 starts in five minutes.
        let made = fixture.made(name);
        assert!((9..=20).contains(&made), "{name}: {made}");
        let health = fixture.health(name);
        assert!(matches!(health.state, AdapterState::Down { .. }), "{name}: {health:?}");
        assert_eq!(usize::try_from(health.restarts).unwrap(), made - 1, "{name}");
    }
    assert_eq!(fixture.last_error("fails"), "little.fails: the cable is out");
    assert!(fixture.last_error("panics").contains(&format!("number {}", fixture.made("panics") - 1)));
    assert!(fixture.last_error("ends").contains("ended unexpectedly"));
    fixture.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_recovers_is_up_and_its_last_error_stays() {
    let mut fixture = Fixture::new(64);
    fixture.run(&[("one", Does::Recovers)]).await;
    fixture.count_uplinks(10).await;
    let health = fixture.health("one");
    assert_eq!((health.state, health.restarts), (AdapterState::Up, 1));
    assert_eq!(fixture.last_error("one"), "little.one: the cable is out");
    fixture.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_off_an_adapter_that_ignores_it() {
    let mut fixture = Fixture::new(1);
    fixture.run(&[("deaf", Does::IgnoresStop), ("works", Does::Works)]).await;
    let begun = tokio::time::Instant::now();
    // Nobody takes: the deaf one hangs in its send.
    fixture.supervisor.stop().await;
    assert!(begun.elapsed() <= STOP_TIMEOUT + ABORT_TIMEOUT, "{:?}", begun.elapsed());
    let Fixture { supervisor, mut uplinks, .. } = fixture;
    drop(supervisor);
    while uplinks.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_reload_exchanges_a_deaf_adapter_and_leaves_the_others_alone() {
    let mut fixture = Fixture::new(64);
    fixture.run(&[("works", Does::Works), ("other", Does::IgnoresStop)]).await;
    tokio::task::yield_now().await;
    fixture.run(&[("works", Does::Works), ("other", Does::Works), ("new", Does::Works)]).await;
    let counts = fixture.count_uplinks(60).await;
    assert_eq!((fixture.made("works"), fixture.made("other"), fixture.made("new")), (1, 2, 1));
    assert!(counts["little.works"] >= 59 && counts["little.new"] >= 59, "{counts:?}");
    fixture.run(&[]).await;
    assert!(fixture.supervisor.read_model.adapters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_the_pause_before_a_restart_is_at_once() {
    let mut fixture = Fixture::new(64);
    fixture.run(&[("fails", Does::Fails)]).await;
    fixture.count_uplinks(100).await;
    let begun = tokio::time::Instant::now();
    fixture.supervisor.stop().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

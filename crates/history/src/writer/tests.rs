//! The thread's work under a clock that tests turn, on a real disk.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::batch::ReadingRow;
use crate::row::{Row, Summary};

/// 2026-11-20T10:00:00Z.
const TEN: i64 = 1_795_168_800_000;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct House {
    folder: TempDir,
    clock: Arc<Hand>,
    handle: Handle,
}

fn options(folder: &TempDir) -> Options {
    Options {
        path: folder.path().join("history.db"),
        keep: Duration::from_secs(3600),
        keep_hours: DAY,
        keep_days: DAY,
        readings: Duration::ZERO,
        max_bytes: 64 << 20,
    }
}

/// A writer as a task of the test, whose time is paused: it passes when all tasks wait.
fn house_in(folder: TempDir) -> House {
    let clock = Arc::new(Hand(AtomicI64::new(TEN)));
    let (handle, writer, commands) = Writer::new(options(&folder), Arc::clone(&clock) as Arc<dyn Clock>);
    tokio::spawn(writer.run(commands));
    House { folder, clock, handle }
}

fn house() -> House {
    house_in(TempDir::new().unwrap())
}

impl House {
    fn path(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    fn stored(&self) -> usize {
        stored(&self.path())
    }

    async fn waits_until(&self, what: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.handle.status();
        let waited = status.wait_for(|status| what(status));
        tokio::time::timeout(Duration::from_secs(60), waited).await.expect("it comes true").unwrap().clone()
    }
}

fn stored(path: &Path) -> usize {
    let store = Store::open_read_only(path).unwrap();
    let end = Timestamp::MAX;
    store.read("lounge", Timestamp::from_millis(i64::MIN), end, usize::MAX).unwrap().len()
}

fn windows(range: std::ops::Range<i64>) -> Vec<(Box<str>, Row)> {
    let summary = Summary { avg: 21.4, min: 21.1, max: 21.9, std: 0.21, count: 30 };
    range
        .map(|number| {
            let start = Timestamp::from_millis(TEN + number * 1_000);
            let metrics = vec![("temperature".into(), summary)];
            ("lounge".into(), Row { start, end: start + Duration::from_secs(1), revision: 0, metrics })
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn windows_are_written_together_after_five_minutes() {
    let house = house();
    house.handle.record(windows(0..3));
    tokio::time::sleep(GATHER - Duration::from_secs(1)).await;
    assert_eq!(house.stored(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.stored(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_windows_a_flush_and_the_end_are_written_without_waiting() {
    let house = house();
    house.handle.record(windows(0..1_000));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.stored(), 1_000);
    house.handle.record(windows(1_000..1_001));
    house.handle.flush();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.stored(), 1_001);
    house.handle.record(windows(1_001..1_002));
    house.handle.close().await;
    assert_eq!(house.stored(), 1_002);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_keep_goes_and_a_clock_that_was_never_set_takes_nothing() {
    let house = house();
    house.handle.record(windows(0..10));
    house.handle.flush();
    house.clock.0.store(1_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(house.stored(), 10);
    house.clock.0.store(TEN + 3_605_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(house.stored(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_written_between_two_portions_of_what_is_taken_out() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    Store::open(&path).unwrap().append(&windows(0..10_000)).unwrap();
    let clock = Hand(AtomicI64::new(TEN + 13_600_000));
    let (_handle, mut writer, _commands) = Writer::new(options(&folder), Arc::new(clock));
    writer.run_due_jobs();
    assert_eq!(stored(&path), 8_000);
    let permit = gateway_core::MemoryBudget::new(1_000).try_acquire(1_000).unwrap();
    writer.keep(windows(20_000..20_005).into(), permit);
    writer.flush_soon();
    writer.run_due_jobs();
    assert_eq!(stored(&path), 6_005);
}

#[test]
fn from_a_day_on_windows_go_by_whole_days_and_hours_and_days_are_kept_at_least_as_long() {
    let folder = TempDir::new().unwrap();
    let day = 86_400_000;
    let options = Options {
        keep: 30 * DAY,
        keep_hours: 7 * DAY,
        keep_days: DAY,
        readings: DAY / 2,
        ..options(&folder)
    };
    let now = Timestamp::from_millis(TEN);
    let before = TEN / day * day - 30 * day;
    let expected = Before { windows: before, hours: before, days: before, readings: TEN - day / 2 };
    assert_eq!(options.before(now), expected);
}

#[tokio::test(start_paused = true)]
async fn readings_are_asked_for_where_they_are_kept_and_stored_once() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(TEN)));
    let (without, ..) = Writer::new(options(&folder), Arc::clone(&clock) as Arc<dyn Clock>);
    assert!(!without.takes_readings());
    let (handle, writer, commands) = Writer::new(Options { readings: DAY, ..options(&folder) }, clock);
    assert!(handle.takes_readings());
    tokio::spawn(writer.run(commands));
    let values = vec![("temperature".into(), 21.5)];
    let reading = ReadingRow { device: "lounge".into(), at: Timestamp::from_millis(TEN), number: 0, values };
    for _ in 0..2 {
        handle.record(Batch { readings: vec![reading.clone()], ..Batch::default() });
    }
    handle.close().await;
    let store = Store::open_read_only(&folder.path().join("history.db")).unwrap();
    let count = store.file.query_row("SELECT count(*) FROM recent_readings", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    let house = house_in(folder);
    let status = house.waits_until(|status| status.aside.is_some()).await;
    let aside = house.folder.path().join("history.db.damaged-1");
    assert_eq!(status.aside.as_deref(), Some(aside.as_path()));
    assert_eq!(std::fs::read(aside).unwrap(), vec![7; 10_000]);
    house.handle.record(windows(0..5));
    house.handle.close().await;
    assert_eq!((house.stored(), house.handle.status().borrow().trouble.clone()), (5, None));
}

#[tokio::test(start_paused = true)]
async fn damage_that_shows_while_it_is_open_costs_the_file_and_not_the_windows_that_wait() {
    let house = house();
    house.handle.record(windows(0..1_000));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The tables' pages, behind the writer's back; the log, taken over, makes it look at the file again.
    let store = Store::open(&house.path()).unwrap();
    store.file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(house.path()).unwrap();
    bytes[4096..].fill(0xAA);
    std::fs::write(house.path(), bytes).unwrap();
    drop(store);
    house.handle.record(windows(1_000..1_005));
    house.handle.close().await;
    assert!(house.handle.status().borrow().aside.is_some());
    assert_eq!(house.stored(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_disk_refuses_is_kept_and_written_when_it_no_longer_does() {
    let folder = TempDir::new().unwrap();
    // Where the file should be there is a folder.
    let path = folder.path().join("history.db");
    std::fs::create_dir(&path).unwrap();
    let house = house_in(folder);
    house.handle.record(windows(0..5));
    let status = house.waits_until(|status| status.trouble.is_some()).await;
    assert!(status.trouble.unwrap().contains("cannot open the history"));
    std::fs::remove_dir(&path).unwrap();
    tokio::time::sleep(RETRY + Duration::from_secs(1)).await;
    assert_eq!(house.stored(), 5);
    let status = house.handle.status().borrow().clone();
    assert_eq!(status, Status::default());
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_left_out_counted_and_told() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("history.db")).unwrap();
    let house = house_in(folder);
    let mut given = 0;
    while house.handle.status().borrow().left_out == 0 {
        house.handle.record(windows(given..given + 1_000));
        given += 1_000;
        tokio::task::yield_now().await;
        assert!(given < 200_000, "memory has a bound");
    }
    let status = house.waits_until(|status| status.left_out == 1_000).await;
    assert!(status.trouble.is_some());
    std::fs::remove_dir(house.path()).unwrap();
    tokio::time::sleep(GATHER + RETRY).await;
    assert_eq!(house.stored() as i64, given - 1_000);
    assert_eq!(house.handle.status().borrow().trouble, None);
}

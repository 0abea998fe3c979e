use std::net::SocketAddr;
use std::time::Duration;

use lorawan_link::{Abp, Activation, Class, DeviceConfig, Network, Now, Output, Region, Settings};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A file, its writer, and states of a real network after each join request.
struct Site {
    folder: TempDir,
    writer: SessionWriter,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = SessionWriter::new(Store::open(&folder.path().join("lorawan.db")).unwrap());
        Self { folder, writer }
    }

    fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("lorawan.db")).unwrap()
    }

    fn rows(&self) -> i64 {
        self.database().query_row("SELECT count(*) FROM device", [], |row| row.get(0)).unwrap()
    }
}

fn now() -> Now {
    Now { instant: Instant::now().into_std(), wall: jiff::Timestamp::UNIX_EPOCH }
}

fn network(class: Class) -> Network {
    let abp = Abp {
        address: "26000001".parse().unwrap(),
        nwk_s_key: "01010101010101010101010101010101".parse().unwrap(),
        app_s_key: "02020202020202020202020202020202".parse().unwrap(),
        last_f_cnt_up: None,
        rx: None,
        resets: false,
    };
    let mut network = Network::new(Settings::new(Region::Eu868));
    let dev_eui = "a84041ffff000001".parse().unwrap();
    network.add(DeviceConfig { dev_eui, activation: Activation::Abp(abp), class }, None);
    network
}

/// What a network has stored after a device's frame: the frame is the one in the crate's own example.
fn state() -> (StoreToken, Box<DeviceState>) {
    let (mut network, now) = (network(Class::A), now());
    let mut datagram = vec![2, 0x12, 0x34, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, 1];
    datagram.extend(
        br#"{"rxpk":[{"tmst":100000000,"freq":868.5,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5",
        "rssi":-90,"lsnr":5.5,"size":17,"data":"QAEAACYAAAAH6nYrY9uyYSs="}]}"#,
    );
    network.receive(forwarder(), &datagram, now);
    let due = network.next_deadline().unwrap();
    network.timeout(Now { instant: due, ..now });
    std::iter::from_fn(|| network.poll())
        .find_map(|output| match output {
            Output::Store { token, state } => Some((token, state)),
            _ => None,
        })
        .unwrap()
}

/// `count` frames of a network to a device of class C, which may be sent until `until`.
fn transmissions(count: usize, until: Instant) -> Vec<Transmission> {
    let mut network = network(Class::C);
    let now = now();
    network.receive(forwarder(), &[2, 0, 0, 2, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, 1], now);
    for _ in 0..count {
        network.send("a84041ffff000001".parse().unwrap(), 7, vec![1], false, now).unwrap();
    }
    let outputs = std::iter::from_fn(|| network.poll());
    let made: Vec<_> = outputs
        .filter_map(|output| match output {
            Output::Transmit(made) => Some(Transmission { until: until.into_std(), ..made }),
            _ => None,
        })
        .collect();
    assert_eq!(made.len(), count);
    made
}

fn forwarder() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

#[tokio::test]
async fn a_downlink_waits_for_the_state_before_it_and_has_it_written_at_once() {
    let mut site = Site::new();
    let now = Instant::now();
    let [one, two, three] = transmissions(3, now + Duration::from_secs(16)).try_into().unwrap();
    assert_eq!(site.writer.delay(one.clone(), now), Some(one), "nothing is to be stored");
    let (token, state) = state();
    site.writer.store(token, state, now);
    assert_eq!(site.writer.next_deadline(), Some(now + GATHER_TIME));
    assert_eq!(site.writer.delay(two.clone(), now), None);
    assert_eq!(site.writer.next_deadline(), Some(now));
    site.writer.write_due(now);
    assert_eq!(site.writer.delay(three.clone(), now), None, "it is not written yet");
    let freed = site.writer.written().await.unwrap();
    assert_eq!(freed.tokens, [token]);
    assert_eq!(freed.downlinks, [two, three]);
    assert_eq!((site.rows(), site.writer.next_deadline()), (1, None));
}

#[tokio::test]
async fn a_failed_write_is_tried_again_and_downlinks_wait_for_it() {
    let mut site = Site::new();
    site.database().execute_batch("ALTER TABLE device RENAME TO away").unwrap();
    let (token, state) = state();
    let now = Instant::now();
    let downlink = transmissions(1, now + Duration::from_secs(16)).remove(0);
    site.writer.store(token, state, now);
    assert_eq!(site.writer.delay(downlink, now), None);
    site.writer.write_due(now);
    let freed = site.writer.written().await.unwrap();
    assert!(freed.tokens.is_empty() && freed.downlinks.is_empty());
    assert!(site.writer.problem.as_deref().is_some_and(|why| why.contains("lorawan.db")));
    let again = site.writer.next_deadline().unwrap();
    assert!(again > now + RETRY_PAUSE - Duration::from_millis(1));
    site.database().execute_batch("ALTER TABLE away RENAME TO device").unwrap();
    site.writer.write_due(again);
    let freed = site.writer.written().await.unwrap();
    assert_eq!((freed.tokens, freed.downlinks.len()), (vec![token], 1));
    assert_eq!((site.writer.problem.as_deref(), site.rows()), (None, 1));
}

#[tokio::test]
async fn a_downlink_that_is_late_because_the_disk_hangs_is_cancelled() {
    let mut site = Site::new();
    let now = Instant::now();
    let until = now + Duration::from_secs(1);
    let [early, late] = transmissions(2, until).try_into().unwrap();
    let late = Transmission { until: (until + Duration::from_secs(1)).into_std(), ..late };
    let (token, state) = state();
    site.writer.store(token, state, now);
    assert_eq!(site.writer.delay(early.clone(), now), None);
    assert_eq!(site.writer.delay(late.clone(), now), None);
    // The write has started, and its end is not polled.
    site.writer.write_due(now);
    assert_eq!(site.writer.take_cancelled(until), []);
    let wake = site.writer.next_deadline().unwrap();
    assert_eq!(site.writer.take_cancelled(wake), [early.id]);
    assert_eq!(site.writer.written().await.unwrap().downlinks, [late]);
    assert_eq!((site.writer.take_cancelled(wake), site.writer.cancelled), (vec![], 1));
}

#[tokio::test]
async fn the_oldest_of_too_many_downlinks_is_cancelled() {
    let mut site = Site::new();
    let now = Instant::now();
    let (token, state) = state();
    site.writer.store(token, state, now);
    let all = transmissions(MAX_WAITING + 1, now + Duration::from_secs(16));
    let oldest = all[0].id;
    for transmission in all {
        assert_eq!(site.writer.delay(transmission, now), None);
    }
    assert_eq!(site.writer.take_cancelled(now), [oldest]);
}

#[tokio::test]
async fn the_last_states_are_written_at_the_stop() {
    let mut site = Site::new();
    let (token, state) = state();
    site.writer.store(token, state, Instant::now());
    site.writer.close().await;
    assert_eq!((site.rows(), site.writer.unwritten()), (1, 0));
}

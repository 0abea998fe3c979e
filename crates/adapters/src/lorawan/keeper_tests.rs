use std::net::SocketAddr;
use std::time::Duration;

use lorawan_link::{Abp, Activation, Class, DeviceConfig, Network, Now, Output, Region, Settings};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A file, its keeper, and states to store: those of a real network after each join request.
struct Site {
    folder: TempDir,
    keeper: Keeper,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(Store::open(&folder.path().join("lorawan.db")).unwrap());
        Self { folder, keeper }
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

/// So many frames of a network to a device of class C, which may leave until then.
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
    assert_eq!(site.keeper.behind(one.clone(), now), Some(one), "nothing is to be stored");
    let (token, state) = state();
    site.keeper.store(token, state, now);
    assert_eq!(site.keeper.next_deadline(), Some(now + GATHER));
    assert_eq!(site.keeper.behind(two.clone(), now), None);
    assert_eq!(site.keeper.next_deadline(), Some(now));
    site.keeper.write_due(now);
    assert_eq!(site.keeper.behind(three.clone(), now), None, "it is not written yet");
    let freed = site.keeper.written().await.unwrap();
    assert_eq!(freed.tokens, [token]);
    assert_eq!(freed.downlinks, [two, three]);
    assert_eq!((site.rows(), site.keeper.next_deadline()), (1, None));
}

#[tokio::test]
async fn what_the_disk_refuses_is_tried_again_and_downlinks_wait_for_that() {
    let mut site = Site::new();
    site.database().execute_batch("ALTER TABLE device RENAME TO away").unwrap();
    let (token, state) = state();
    let now = Instant::now();
    let downlink = transmissions(1, now + Duration::from_secs(16)).remove(0);
    site.keeper.store(token, state, now);
    assert_eq!(site.keeper.behind(downlink, now), None);
    site.keeper.write_due(now);
    let freed = site.keeper.written().await.unwrap();
    assert!(freed.tokens.is_empty() && freed.downlinks.is_empty());
    assert!(site.keeper.problem.as_deref().is_some_and(|why| why.contains("lorawan.db")));
    let again = site.keeper.next_deadline().unwrap();
    assert!(again > now + RETRY - Duration::from_millis(1));
    site.database().execute_batch("ALTER TABLE away RENAME TO device").unwrap();
    site.keeper.write_due(again);
    let freed = site.keeper.written().await.unwrap();
    assert_eq!((freed.tokens, freed.downlinks.len()), (vec![token], 1));
    assert_eq!((site.keeper.problem.as_deref(), site.rows()), (None, 1));
}

#[tokio::test]
async fn a_downlink_whose_time_goes_by_while_the_disk_hangs_is_given_up_and_does_not_leave() {
    let mut site = Site::new();
    let now = Instant::now();
    let until = now + Duration::from_secs(1);
    let [early, late] = transmissions(2, until).try_into().unwrap();
    let late = Transmission { until: (until + Duration::from_secs(1)).into_std(), ..late };
    let (token, state) = state();
    site.keeper.store(token, state, now);
    assert_eq!(site.keeper.behind(early.clone(), now), None);
    assert_eq!(site.keeper.behind(late.clone(), now), None);
    // The write has begun, and nobody looks at its end.
    site.keeper.write_due(now);
    assert_eq!(site.keeper.given_up(until), []);
    let wake = site.keeper.next_deadline().unwrap();
    assert_eq!(site.keeper.given_up(wake), [early.id]);
    assert_eq!(site.keeper.written().await.unwrap().downlinks, [late]);
    assert_eq!((site.keeper.given_up(wake), site.keeper.given_up), (vec![], 1));
}

#[tokio::test]
async fn of_too_many_downlinks_the_oldest_is_given_up() {
    let mut site = Site::new();
    let now = Instant::now();
    let (token, state) = state();
    site.keeper.store(token, state, now);
    let all = transmissions(MOST_WAITING + 1, now + Duration::from_secs(16));
    let oldest = all[0].id;
    for transmission in all {
        assert_eq!(site.keeper.behind(transmission, now), None);
    }
    assert_eq!(site.keeper.given_up(now), [oldest]);
}

#[tokio::test]
async fn the_last_states_are_written_at_the_stop() {
    let mut site = Site::new();
    let (token, state) = state();
    site.keeper.store(token, state, Instant::now());
    site.keeper.close().await;
    assert_eq!((site.rows(), site.keeper.unwritten()), (1, 0));
}

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

/// What a network has stored after a device's frame: the frame is the one in the crate's own example.
fn state() -> (StoreToken, Box<DeviceState>) {
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
    network.add(DeviceConfig { dev_eui, activation: Activation::Abp(abp), class: Class::A }, None);
    let now = Now { instant: Instant::now().into_std(), wall: jiff::Timestamp::UNIX_EPOCH };
    let mut datagram = vec![2, 0x12, 0x34, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, 1];
    datagram.extend(
        br#"{"rxpk":[{"tmst":100000000,"freq":868.5,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5",
        "rssi":-90,"lsnr":5.5,"size":17,"data":"QAEAACYAAAAH6nYrY9uyYSs="}]}"#,
    );
    network.receive("192.0.2.1:40000".parse().unwrap(), &datagram, now);
    let due = network.next_deadline().unwrap();
    network.timeout(Now { instant: due, ..now });
    std::iter::from_fn(|| network.poll())
        .find_map(|output| match output {
            Output::Store { token, state } => Some((token, state)),
            _ => None,
        })
        .unwrap()
}

fn forwarder() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

#[tokio::test]
async fn a_downlink_waits_for_the_state_before_it_and_has_it_written_at_once() {
    let mut site = Site::new();
    let now = Instant::now();
    assert_eq!(site.keeper.behind(forwarder(), vec![1], now), Some(vec![1]), "nothing is to be stored");
    let (token, state) = state();
    site.keeper.store(token, state, now);
    assert_eq!(site.keeper.next_deadline(), Some(now + GATHER));
    assert_eq!(site.keeper.behind(forwarder(), vec![2], now), None);
    assert_eq!(site.keeper.next_deadline(), Some(now));
    site.keeper.write_due(now);
    assert_eq!(site.keeper.behind(forwarder(), vec![3], now), None, "it is not written yet");
    let freed = site.keeper.written().await.unwrap();
    assert_eq!(freed.tokens, [token]);
    assert_eq!(freed.downlinks, [(forwarder(), vec![2]), (forwarder(), vec![3])]);
    assert_eq!((site.rows(), site.keeper.next_deadline()), (1, None));
}

#[tokio::test]
async fn what_the_disk_refuses_is_tried_again_and_downlinks_wait_for_that() {
    let mut site = Site::new();
    site.database().execute_batch("ALTER TABLE device RENAME TO away").unwrap();
    let (token, state) = state();
    let now = Instant::now();
    site.keeper.store(token, state, now);
    assert_eq!(site.keeper.behind(forwarder(), vec![2], now), None);
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
async fn the_last_states_are_written_at_the_stop() {
    let mut site = Site::new();
    let (token, state) = state();
    site.keeper.store(token, state, Instant::now());
    site.keeper.close().await;
    assert_eq!((site.rows(), site.keeper.unwritten()), (1, 0));
}

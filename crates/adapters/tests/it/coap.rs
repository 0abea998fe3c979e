//! The CoAP adapter between a real socket and a pipeline that the test plays: what a slow or failing one does to senders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use adapters::coap::client::ClientSettings;
use adapters::coap::{CoapAdapter, Codecs, Names, Settings};
use gateway_core::ports::{Adapter, AdapterContext, AdapterState, Command};
use gateway_core::{AdapterId, CodecId, Condition, Delivery, DropReason, Outcome, Timestamp, Uplink};
use testkit::clock::ManualClock;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// As many reports as may be under way.
const UNDER_WAY: usize = 1_024;
/// As many of these as one device may have.
const OF_ONE_DEVICE: u16 = 64;
const CHANGED: u8 = 2 << 5 | 4;
const UNAVAILABLE: u8 = 5 << 5 | 3;
const BAD_REQUEST: u8 = 4 << 5;

struct Site {
    device: UdpSocket,
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _commands: mpsc::Sender<Command>,
}

impl Site {
    async fn start() -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let codecs = Codecs {
            value: CodecId(0),
            json: CodecId(1),
            cbor: CodecId(2),
            senml: CodecId(3),
            node: CodecId(4),
        };
        let settings = Settings {
            listen: Some(listen),
            listen_dtls: None,
            holders: Vec::new(),
            multicast: false,
            max_size: 64 << 10,
            max_peers: 100,
            max_observers: 100,
            codecs,
            names: Arc::new(Names::default()),
            client: ClientSettings::default(),
        };
        let mut adapter =
            CoapAdapter::new(AdapterId::new("coap", "lan"), settings, read_model::ReadModel::default());
        let (sender, uplinks) = mpsc::channel(1);
        let (commands, no_commands) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let condition = Condition::new(clock.clone());
        let mut health = condition.watch();
        let mut context =
            AdapterContext { uplinks: sender, commands: no_commands, condition, clock, stop: stop.clone() };
        let task = tokio::spawn(async move { adapter.run(&mut context).await.unwrap() });
        health.wait_for(|health| health.state == AdapterState::Up).await.unwrap();
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        device.connect(listen).await.unwrap();
        Self { device, uplinks, stop, task, _commands: commands }
    }

    /// Another device.
    async fn device(&self) -> UdpSocket {
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        device.connect(self.device.peer_addr().unwrap()).await.unwrap();
        device
    }

    async fn report(&self, id: u16, confirmable: bool) {
        report(&self.device, id, confirmable).await;
    }

    /// The next answer's code, message id and what follows.
    async fn answer(&self) -> (u8, u16, Vec<u8>) {
        let mut datagram = [0; 256];
        let length =
            timeout(Duration::from_secs(30), self.device.recv(&mut datagram)).await.unwrap().unwrap();
        (datagram[1], u16::from_be_bytes([datagram[2], datagram[3]]), datagram[4..length].to_vec())
    }

    async fn taken(&mut self) -> Vec<Uplink> {
        timeout(Duration::from_secs(30), self.uplinks.recv()).await.unwrap().unwrap()
    }
}

/// A POST of a number to `/sensors/a/b`.
async fn report(device: &UdpSocket, id: u16, confirmable: bool) {
    let mut datagram = vec![if confirmable { 0x40 } else { 0x50 }, 2];
    datagram.extend(id.to_be_bytes());
    datagram.extend(b"\xb7sensors\x01a\x01b\xff7");
    device.send(&datagram).await.unwrap();
}

#[tokio::test]
async fn a_pipeline_that_stands_still_makes_5_03_and_gets_later_what_was_taken() {
    let mut site = Site::start().await;
    let (all, last) = (40, u16::MAX);
    let mut crowd = Vec::new();
    for _ in 0..u16::try_from(UNDER_WAY).unwrap() / OF_ONE_DEVICE {
        let device = site.device().await;
        for id in 0..OF_ONE_DEVICE {
            report(&device, id, true).await;
        }
        crowd.push(device);
    }
    for id in 0..all {
        site.report(id, true).await;
    }
    for _ in 0..all {
        let (code, _, rest) = site.answer().await;
        assert_eq!(code, UNAVAILABLE);
        assert!(rest.starts_with(&[0xd1, 1, 5]), "Max-Age is 5 s: {rest:?}");
    }
    // It is not repeated, and reported with the next accepted report.
    site.report(all, false).await;
    while site.answer().await.0 != UNAVAILABLE {}
    let mut taken = Vec::new();
    while taken.len() < UNDER_WAY {
        taken.extend(site.taken().await);
    }
    assert!(taken.iter().all(|uplink| uplink.lost_before == 0));
    assert!(matches!(taken[0].delivery, Delivery::AtLeastOnce { again: true, .. }));
    taken.into_iter().for_each(|uplink| uplink.ack.complete(Outcome::Taken));
    // A slot is free again as soon as the adapter has received the completion, which is not visible here.
    let after = loop {
        site.report(last, false).await;
        if let Ok(batch) = timeout(Duration::from_millis(200), site.uplinks.recv()).await {
            break batch.unwrap();
        }
    };
    assert!(after[0].lost_before >= 1);
    assert_eq!(after[0].delivery, Delivery::AtMostOnce);
}

#[tokio::test]
async fn a_device_that_wants_no_answers_loses_what_it_sends_too_fast_and_that_is_counted() {
    const TOO_MANY: u16 = 10;
    let mut site = Site::start().await;
    for id in 0..OF_ONE_DEVICE + TOO_MANY {
        site.report(id, false).await;
    }
    for _ in 0..TOO_MANY {
        assert_eq!(site.answer().await.0, UNAVAILABLE);
    }
    report(&site.device().await, 1, true).await;
    let mut taken = Vec::new();
    while taken.len() <= usize::from(OF_ONE_DEVICE) {
        taken.extend(site.taken().await);
    }
    let lost: Vec<u32> = taken.iter().map(|uplink| uplink.lost_before).filter(|lost| *lost > 0).collect();
    assert_eq!(lost, [u32::from(TOO_MANY)]);
}

#[tokio::test]
async fn a_report_is_answered_with_what_became_of_it() {
    let mut site = Site::start().await;
    site.report(1, true).await;
    let mut batch = site.taken().await;
    let uplink = batch.pop().unwrap();
    assert_eq!((uplink.device.unwrap().as_str(), uplink.metric.as_deref()), ("a", Some("b")));
    assert_eq!((&uplink.payload[..], uplink.codec), (&b"7"[..], CodecId(0)));
    uplink.ack.complete(Outcome::Taken);
    assert_eq!(site.answer().await, (CHANGED, 1, Vec::new()));
    site.report(2, true).await;
    let mut uplink = site.taken().await.pop().unwrap();
    uplink.ack.explain(|| "not warm enough".to_owned());
    uplink.ack.complete(Outcome::Refused(DropReason::BadPayload));
    assert_eq!(site.answer().await, (BAD_REQUEST, 2, b"\xffnot warm enough".to_vec()));
    // Dropped without a word, it stays with its sender.
    site.report(3, true).await;
    drop(site.taken().await);
    let (code, id, _) = site.answer().await;
    assert_eq!((code, id), (UNAVAILABLE, 3));
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_takes_no_more() {
    let mut site = Site::start().await;
    site.report(1, true).await;
    let uplink = site.taken().await.pop().unwrap();
    site.stop.cancel();
    // Refused from now on, which also shows that the stop has begun.
    let mut id = 1;
    loop {
        id += 1;
        site.report(id, true).await;
        match timeout(Duration::from_millis(100), site.uplinks.recv()).await {
            Ok(batch) => batch.unwrap().into_iter().for_each(|uplink| uplink.ack.complete(Outcome::Taken)),
            Err(_) => break,
        }
    }
    uplink.ack.complete(Outcome::Taken);
    timeout(Duration::from_secs(10), site.task).await.unwrap().unwrap();
    let mut answers = Vec::new();
    let mut datagram = [0; 256];
    while let Ok(Ok(_)) = timeout(Duration::from_millis(100), site.device.recv(&mut datagram)).await {
        answers.push((datagram[1], datagram[3]));
    }
    assert!(answers.contains(&(CHANGED, 1)), "{answers:?}");
    assert!(answers.iter().any(|(code, _)| *code == UNAVAILABLE), "{answers:?}");
}

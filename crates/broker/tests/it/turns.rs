//! One client that floods the broker: the others have their turn all the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{eventually, port, settings, start};
use broker::{Broker, Tap};
use tempfile::TempDir;

/// CONNECT of MQTT 3.1.1, clean session, and its answer.
fn connect(port: u16, id: u8) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[&b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01"[..], &[id]].concat()).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream
}

/// Writes these packets again and again, and reads what comes.
fn flood(stream: &TcpStream, packets: &[u8], stop: &AtomicBool) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bytes = [0; 4096];
            while (&mut &*stream).read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        while !stop.load(Ordering::Relaxed) && (&mut &*stream).write_all(packets).is_ok() {}
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
}

/// How many packets were received while a message went from one client to another: the median of some.
fn packets_in_between(broker: &Broker, port: u16) -> u64 {
    let (mut from, mut to) = (connect(port, b'f'), connect(port, b't'));
    to.write_all(b"\x82\x09\x00\x01\x00\x04ping\x00").unwrap();
    to.read_exact(&mut [0; 5]).unwrap();
    let mut counts: Vec<u64> = (0..15)
        .map(|_| {
            let before = broker.stats().messages_received;
            from.write_all(b"\x30\x07\x00\x04ping!").unwrap();
            to.read_exact(&mut [0; 9]).unwrap();
            broker.stats().messages_received - before
        })
        .collect();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[test]
fn a_client_that_floods_the_broker_is_interrupted_for_the_others() {
    // One thread, as the gateway has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let subscribe: Vec<u8> =
        (0..2_000).flat_map(|number| format!("\u{2}\u{9}\0\u{1}\0\u{4}{number:04}\0").into_bytes()).collect();
    let subscribe = fix_first_bytes(subscribe, 11, 0x82);
    let publish = b"\x30\x06\x00\x01x21.".repeat(4_000);
    let wide = b"\x82\x06\x00\x01\x00\x01#\x00".repeat(4_000);
    for packets in [subscribe, publish, wide] {
        let folder = TempDir::new().unwrap();
        let broker = runtime.block_on(start(settings(folder.path()), Tap::default())).unwrap();
        let (port, stop) = (port(&broker, "mqtt"), AtomicBool::new(false));
        let retained = (0..2_000).flat_map(|number| format!("1\u{7}\0\u{4}{number:04}1").into_bytes());
        connect(port, b'r').write_all(&retained.collect::<Vec<_>>()).unwrap();
        runtime.block_on(eventually(async || broker.stats().retained >= 2_000));
        let flooding = connect(port, b'x');
        let between = std::thread::scope(|scope| {
            scope.spawn(|| flood(&flooding, &packets, &stop));
            runtime.block_on(eventually(async || broker.stats().messages_received >= 6_000));
            let between = packets_in_between(&broker, port);
            stop.store(true, Ordering::Relaxed);
            between
        });
        assert!(between < 8_000, "{between} packets of the other client came first");
        runtime.block_on(broker.stop());
    }
}

/// A text cannot begin with the byte of a SUBSCRIBE.
fn fix_first_bytes(mut packets: Vec<u8>, length: usize, first: u8) -> Vec<u8> {
    packets.iter_mut().step_by(length).for_each(|byte| *byte = first);
    packets
}

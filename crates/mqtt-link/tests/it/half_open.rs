//! Dead connections that stay open are found by the keep-alive, whichever side has something to send.

use std::time::Duration;

use mqtt_link::{Options, Protocol, Publisher, PublisherEvent, SubmitError, Subscriber};
use testkit::mosquitto::Mosquitto;
use tokio::time::Instant;

use super::proxy::Proxy;
use super::{BOTH, connected, down, everything, next, options, up};

/// The shortest possible keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// One and a half keep-alives, plus time for a busy machine.
const FOUND_WITHIN: Duration = Duration::from_millis(7500 + 1500);

fn patient(proxy: &Proxy, protocol: Protocol) -> Options {
    let mut with = options(&proxy.url, protocol, "half");
    with.keep_alive = KEEP_ALIVE;
    // Long enough not to end the connection.
    with.connect_timeout = Duration::from_secs(60);
    with
}

async fn a_quiet_subscriber(protocol: Protocol) {
    let broker = Mosquitto::start(&[]).await;
    let proxy = Proxy::before(&broker, Vec::new()).await;
    let mut subscriber = Subscriber::start(patient(&proxy, protocol), everything());
    up(&mut subscriber).await;
    freeze_until(&proxy, protocol, async { drop(down(&mut subscriber).await) }).await;
    up(&mut subscriber).await;
}

/// Fills the buffers of both sockets.
async fn a_publisher_in_full_flow(protocol: Protocol) {
    let broker = Mosquitto::start(&[]).await;
    let proxy = Proxy::before(&broker, Vec::new()).await;
    let mut publisher = Publisher::start(patient(&proxy, protocol));
    connected(&mut publisher).await;
    let mut lost = async || {
        for token in 0.. {
            match publisher.try_publish(token, "a", vec![b'x'; 200_000].into(), false) {
                Ok(()) => {}
                Err(SubmitError::WindowFull) => break,
                Err(error) => panic!("{error}"),
            }
        }
        while !matches!(next(&mut publisher).await, PublisherEvent::Lost { .. }) {}
    };
    freeze_until(&proxy, protocol, lost()).await;
    connected(&mut publisher).await;
}

async fn freeze_until(proxy: &Proxy, protocol: Protocol, lost: impl Future<Output = ()>) {
    proxy.frozen.send_replace(true);
    let began = Instant::now();
    lost.await;
    assert!(began.elapsed() <= FOUND_WITHIN, "{protocol:?}: after {:?}", began.elapsed());
    proxy.frozen.send_replace(false);
}

#[tokio::test]
async fn a_connection_that_died_silently_is_found_within_one_and_a_half_keep_alives() {
    let [v5, v311] = BOTH;
    tokio::join!(
        a_quiet_subscriber(v5),
        a_quiet_subscriber(v311),
        a_publisher_in_full_flow(v5),
        a_publisher_in_full_flow(v311),
    );
}

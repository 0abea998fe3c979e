//! `retain count=N size=BYTES window=N topic=PREFIX`: publishes so many retained messages with QoS 1, each to a topic of its
//! own, and tells how many seconds passed until the last was acknowledged.
//!
//! `retained count=N`: subscribes to `#`, and tells how many seconds passed until that many retained messages were there.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::client::{Client, Login, Packet};
use crate::{Options, Outcome, say};

/// If nothing comes for so long, nothing will.
const QUIET: Duration = Duration::from_secs(5);

pub(crate) async fn publish(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let count: usize = options.get("count")?;
    let (size, window): (usize, usize) = (options.get("size")?, options.get("window")?);
    let topic = options.text("topic")?;
    let mut client = Client::connect(broker, &Login { id: "discovery", ..Login::default() }).await?;
    let (mut sent, mut acknowledged) = (0, 0);
    let began = Instant::now();
    while acknowledged < count {
        while sent < count && sent - acknowledged < window {
            let payload = payload(sent, size);
            client.outbox.publish(&format!("{topic}/{sent:05}/config"), true, id_of(sent), &payload);
            sent += 1;
        }
        client.flush().await?;
        timeout(QUIET, client.receive()).await??;
        while let Some(packet) = client.inbox.next()? {
            acknowledged += usize::from(matches!(packet, Packet::Puback(_)));
        }
    }
    say(&format!("{{\"seconds\": {:.4}}}", began.elapsed().as_secs_f64()));
    client.disconnect().await?;
    Ok(())
}

pub(crate) async fn read(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let count: usize = options.get("count")?;
    let mut client = Client::connect(broker, &Login { id: "dashboard", ..Login::default() }).await?;
    let (mut received, mut last) = (0, Duration::ZERO);
    let began = Instant::now();
    client.outbox.subscribe("#", 1);
    while received < count {
        client.flush().await?;
        match timeout(QUIET, client.receive()).await {
            Ok(more) => more?,
            Err(_) => break,
        }
        while let Some(packet) = client.inbox.next()? {
            let Packet::Publish { topic, id, .. } = packet else { continue };
            received += usize::from(!topic.starts_with(b"$"));
            last = began.elapsed();
            if let Some(id) = id {
                client.outbox.puback(id);
            }
        }
    }
    client.flush().await?;
    say(&format!("{{\"received\": {received}, \"seconds\": {:.4}}}", last.as_secs_f64()));
    client.disconnect().await?;
    Ok(())
}

/// Different for each message, so that none can be stored as another one.
fn payload(number: usize, size: usize) -> Vec<u8> {
    let mut payload =
        format!("{{\"unique_id\":\"{number:08}\",\"device_class\":\"temperature\",\"fill\":\"").into_bytes();
    payload
        .extend((payload.len()..size).zip((b'a'..=b'z').cycle().skip(number % 26)).map(|(_, letter)| letter));
    payload.truncate(size);
    payload
}

/// Packet identifiers are not 0.
pub(crate) fn id_of(number: usize) -> u16 {
    u16::try_from(number % 65_000).unwrap_or_default() + 1
}

//! `ping seconds=S every=S`: two quiet clients; one publishes with QoS 1 so often, the other reads. Tells how long a message took
//! until it came. The next one is sent after that.
//!
//! `pour kind=subscribe|publish topic=TEXT seconds=S`: one client sends as many SUBSCRIBEs, or messages at QoS 0, as the broker
//! takes, and reads what comes. Tells how many.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::client::{Client, Login, Packet};
use crate::{Options, Outcome, microseconds, percentiles, say};

/// If a message has not come after so long, it will not.
const PATIENCE: Duration = Duration::from_secs(10);
/// Packets in one write.
const TOGETHER: usize = 2_000;

pub(crate) async fn ping(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let connect = async |id| Client::connect(broker, &Login { id, ..Login::default() }).await;
    let (mut from, mut to) = (connect("ping-from").await?, connect("ping-to").await?);
    to.subscribe("ping", 1).await?;
    let until = Instant::now() + options.seconds("seconds")?;
    let mut next = interval(options.seconds("every")?);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::new();
    for number in 1_u16.. {
        next.tick().await;
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        from.outbox.publish("ping", false, number, &number.to_be_bytes());
        from.flush().await?;
        timeout(PATIENCE, wait_for(&mut to, number)).await??;
        took.push(microseconds(sent.elapsed()));
        // Its acknowledgement.
        from.receive().await?;
        while from.inbox.next()?.is_some() {}
    }
    let count = took.len();
    say(&format!("{{\"pings\": {count}, \"us\": {}}}", percentiles(&mut took)));
    Ok(())
}

async fn wait_for(client: &mut Client, number: u16) -> std::io::Result<()> {
    loop {
        client.receive().await?;
        while let Some(packet) = client.inbox.next()? {
            let Packet::Publish { id: Some(id), payload, .. } = packet else { continue };
            let is_it = *payload == number.to_be_bytes();
            client.outbox.puback(id);
            client.flush().await?;
            if is_it {
                return Ok(());
            }
        }
    }
}

pub(crate) async fn pour(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let (kind, topic) = (options.text("kind")?, options.text("topic")?);
    let client = Client::connect(broker, &Login { id: "pour", ..Login::default() }).await?;
    let (mut reading, mut writing) = client.into_halves();
    let mut packets = crate::client::Outbox::default();
    for number in 0..TOGETHER {
        match &*kind {
            "subscribe" => packets.subscribe(&format!("{topic}/{number}"), 0),
            _ => packets.publish_at_most_once(&topic, b"21.5"),
        }
    }
    let bytes = packets.into_bytes();
    let reader = tokio::spawn(async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await });
    let until = Instant::now() + options.seconds("seconds")?;
    let mut sent = 0;
    while Instant::now() < until {
        tokio::io::AsyncWriteExt::write_all(&mut writing, &bytes).await?;
        sent += TOGETHER;
    }
    reader.abort();
    say(&format!("{{\"sent\": {sent}}}"));
    Ok(())
}

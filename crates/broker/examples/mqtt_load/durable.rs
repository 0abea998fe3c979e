//! `durable rounds=N`: is what the broker acknowledges still there after it was killed?
//!
//! In each round a client publishes with QoS 1, in turn for a session whose owner is away and retained to one of some
//! topics, and prints `publishing`. Whoever started this then kills the broker and starts it again on the same port. The
//! owner of the session comes back and must get every message that was acknowledged; each topic must have its last
//! acknowledged message or a later one, be it of this round or of one before. A line of JSON tells what was missing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Login, Packet};
use crate::retained::id_of;
use crate::{Options, Outcome, say};

/// Retained topics.
const TOPICS: usize = 500;
const WINDOW: usize = 20;
const FILL: &str = "................................................";
/// If nothing comes for so long, nothing will.
const QUIET: Duration = Duration::from_secs(1);
/// How long the broker may be away.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Books {
    next: usize,
    /// Acknowledged messages that their session has not got.
    queued: HashSet<usize>,
    /// The last acknowledged message of each topic.
    retained: HashMap<usize, usize>,
}

pub(crate) async fn run(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let mut books = Books::default();
    let mut owner = owner(broker).await?;
    for _ in 0..options.get("rounds")? {
        if !owner.resumed {
            owner.subscribe("queue/#", 1).await?;
        }
        owner.disconnect().await?;
        let publisher = Client::connect(broker, &Login { id: "publisher", ..Login::default() }).await?;
        say("publishing");
        let acknowledged = books.publish(publisher).await;
        owner = self::owner(broker).await?;
        let unexpected = books.collect(&mut owner).await?;
        let lost = books.queued.len();
        books.queued.clear();
        let retained_lost = books.check_retained(broker).await?;
        say(&format!(
            "{{\"acknowledged\": {acknowledged}, \"lost\": {lost}, \"unexpected\": {unexpected}, \
             \"retained\": {}, \"retained_lost\": {retained_lost}}}",
            books.retained.len()
        ));
    }
    Ok(())
}

/// The session's owner, as soon as there is a broker.
async fn owner(broker: SocketAddr) -> io::Result<Client> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::connect(broker, &Login { id: "owner", keep: true, ..Login::default() }).await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            connected => return connected,
        }
    }
}

impl Books {
    /// Publishes until the connection ends; how many messages were acknowledged.
    async fn publish(&mut self, mut client: Client) -> usize {
        let mut in_flight = VecDeque::new();
        let mut acknowledged = 0;
        loop {
            while in_flight.len() < WINDOW {
                let (number, id) = (self.next, id_of(self.next));
                let payload = format!("{number:010}{FILL}");
                if number.is_multiple_of(2) {
                    client.outbox.publish(&format!("queue/{}", number % 100), false, id, payload.as_bytes());
                } else {
                    client.outbox.publish(&format!("kept/{}", topic(number)), true, id, payload.as_bytes());
                }
                in_flight.push_back((id, number));
                self.next += 1;
            }
            if client.flush().await.is_err() || client.receive().await.is_err() {
                return acknowledged;
            }
            while let Ok(Some(packet)) = client.inbox.next() {
                let Packet::Puback(id) = packet else { continue };
                let place = in_flight.iter().position(|(other, _)| *other == id);
                let Some((_, number)) = place.and_then(|place| in_flight.remove(place)) else { continue };
                acknowledged += 1;
                if number.is_multiple_of(2) {
                    self.queued.insert(number);
                } else {
                    self.retained.insert(topic(number), number);
                }
            }
        }
    }

    /// Reads what waited for the session; how many messages came that were not acknowledged, or came twice.
    async fn collect(&mut self, owner: &mut Client) -> io::Result<usize> {
        let mut unexpected = 0;
        loop {
            while let Some(packet) = owner.inbox.next()? {
                let Packet::Publish { id: Some(id), payload, .. } = packet else { continue };
                owner.outbox.puback(id);
                unexpected +=
                    usize::from(!number_of(payload).is_some_and(|number| self.queued.remove(&number)));
            }
            owner.flush().await?;
            if self.queued.is_empty() {
                return Ok(unexpected);
            }
            match timeout(QUIET, owner.receive()).await {
                Ok(received) => received?,
                Err(_) => return Ok(unexpected),
            }
        }
    }

    /// How many topics have an older message than the one that was acknowledged, or none; they are forgotten.
    async fn check_retained(&mut self, broker: SocketAddr) -> io::Result<usize> {
        let mut client = Client::connect(broker, &Login { id: "checker", ..Login::default() }).await?;
        client.outbox.subscribe("kept/#", 1);
        let mut missing = self.retained.clone();
        while !missing.is_empty() {
            client.flush().await?;
            match timeout(QUIET, client.receive()).await {
                Ok(received) => received?,
                Err(_) => break,
            }
            while let Some(packet) = client.inbox.next()? {
                let Packet::Publish { id: Some(id), payload, .. } = packet else { continue };
                client.outbox.puback(id);
                if let Some(number) = number_of(payload)
                    && missing.get(&topic(number)).is_some_and(|acknowledged| *acknowledged <= number)
                {
                    missing.remove(&topic(number));
                }
            }
        }
        client.disconnect().await?;
        self.retained.retain(|topic, _| !missing.contains_key(topic));
        Ok(missing.len())
    }
}

fn topic(number: usize) -> usize {
    number / 2 % TOPICS
}

fn number_of(payload: &[u8]) -> Option<usize> {
    std::str::from_utf8(payload.get(..10)?).ok()?.parse().ok()
}

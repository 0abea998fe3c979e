//! `exchange publishers=N subscribers=N each=all|own seconds=S size=BYTES window=N ahead=N rate=N slow=none|0|1`:
//! publishers send with QoS 1, `rate` messages a second in all, or with 0 as many as go. Each has at most `window` messages
//! unacknowledged, and is, unless `ahead` is 0, at most so many ahead of the last subscriber. These read the messages of all
//! publishers, or of the one with their number. `slow` is the QoS of one more subscriber, to everything, that never reads.
//! Every sequence number is counted; a latency counts from when a message was due.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::client::{Client, Login, Packet};
use crate::retained::id_of;
use crate::{Options, Outcome, microseconds, percentiles, say};

/// How often a subscriber looks whether there is more to come.
const POLL: Duration = Duration::from_millis(100);
/// If nothing comes for so long, nothing will.
const QUIET: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
struct Plan {
    began: Instant,
    duration: Duration,
    size: usize,
    window: usize,
    ahead: usize,
    /// Between two messages of a publisher.
    pause: Duration,
}

/// What a publisher has done.
#[derive(Default)]
struct Sent {
    messages: Cell<usize>,
    acknowledged: Cell<usize>,
    ended: Cell<bool>,
    /// How many of them each of its subscribers has.
    received: Vec<Cell<usize>>,
    more_received: Notify,
}

impl Sent {
    fn new(subscribers: usize) -> Self {
        Self { received: vec![Cell::new(0); subscribers], ..Self::default() }
    }

    fn may_send(&self, plan: Plan) -> bool {
        let slowest = || self.received.iter().map(Cell::get).min().unwrap_or_default();
        self.in_flight() < plan.window && (plan.ahead == 0 || self.messages.get() - slowest() < plan.ahead)
    }

    fn in_flight(&self) -> usize {
        self.messages.get() - self.acknowledged.get()
    }
}

/// What a subscriber has received.
#[derive(Default)]
struct Tally {
    /// By publisher.
    seen: Vec<Vec<bool>>,
    received: usize,
    again: usize,
    last: Duration,
    cut: bool,
    latencies: Vec<u32>,
}

pub(crate) async fn run(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let (publishers, subscribers): (usize, usize) = (options.get("publishers")?, options.get("subscribers")?);
    let all = options.text("each")? == "all";
    let rate: f64 = options.get("rate")?;
    let pause = if rate > 0.0 {
        Duration::from_secs_f64(1.0 / rate) * u32::try_from(publishers)?
    } else {
        Duration::ZERO
    };
    let connect = async |id: String| Client::connect(broker, &Login { id: &id, ..Login::default() }).await;
    let (mut writing, mut reading) = (Vec::new(), Vec::new());
    for number in 0..subscribers {
        let mut client = connect(format!("subscriber-{number}")).await?;
        let filter = if all { "load/+".to_owned() } else { format!("load/{number}") };
        client.subscribe(&filter, 1).await?;
        reading.push(client);
    }
    let _slow = match options.text("slow")?.parse() {
        Ok(qos) => {
            let mut client = connect("slow".to_owned()).await?;
            client.subscribe("load/#", qos).await?;
            Some(client)
        }
        Err(_) => None,
    };
    for number in 0..publishers {
        writing.push(connect(format!("publisher-{number}")).await?);
    }
    let (size, window) = (options.get("size")?, options.get("window")?);
    let (began, duration, ahead) = (Instant::now(), options.seconds("seconds")?, options.get("ahead")?);
    let plan = Plan { began, duration, size, window, ahead, pause };
    let readers = if all { subscribers } else { 1 };
    let sent: Rc<Vec<Sent>> = Rc::new((0..publishers).map(|_| Sent::new(readers)).collect());
    let (mut tallies, mut running) = (JoinSet::new(), JoinSet::new());
    LocalSet::new()
        .run_until(async {
            for (number, client) in writing.into_iter().enumerate() {
                let sent = Rc::clone(&sent);
                running.spawn_local(async move {
                    if let Some(sent) = sent.get(number) {
                        let deadline = plan.began + plan.duration + QUIET;
                        let _ = timeout_at(deadline, publish(client, number, plan, sent)).await;
                        sent.ended.set(true);
                    }
                });
            }
            for (number, client) in reading.into_iter().enumerate() {
                let sent = Rc::clone(&sent);
                let (range, place) = if all { (0..publishers, number) } else { (number..number + 1, 0) };
                tallies.spawn_local(async move {
                    let sent = sent.get(range).unwrap_or_default();
                    let mut tally = Tally { seen: vec![Vec::new(); sent.len()], ..Tally::default() };
                    tally.cut = read(client, plan, sent, place, &mut tally).await.is_err();
                    let missing = expected(sent).saturating_sub(tally.received);
                    (tally, missing)
                });
            }
            running.join_all().await;
            report(&sent, tallies.join_all().await);
        })
        .await;
    Ok(())
}

fn expected(sent: &[Sent]) -> usize {
    sent.iter().map(|sent| sent.acknowledged.get()).sum()
}

fn report(sent: &[Sent], tallies: Vec<(Tally, usize)>) {
    let messages: usize = sent.iter().map(|sent| sent.messages.get()).sum();
    let unanswered = messages - expected(sent);
    let (mut received, mut again, mut lost, mut cut) = (0, 0, 0, 0);
    let (mut last, mut latencies) = (Duration::ZERO, Vec::new());
    for (tally, missing) in tallies {
        received += tally.received;
        again += tally.again;
        lost += missing;
        cut += usize::from(tally.cut);
        last = last.max(tally.last);
        latencies.extend(tally.latencies);
    }
    say(&format!(
        "{{\"sent\": {messages}, \"unanswered\": {unanswered}, \"received\": {received}, \"again\": {again}, \
         \"lost\": {lost}, \"cut\": {cut}, \"seconds\": {:.4}, \"latency_us\": {}}}",
        last.as_secs_f64(),
        percentiles(&mut latencies)
    ));
}

async fn publish(mut client: Client, number: usize, plan: Plan, sent: &Sent) -> std::io::Result<()> {
    let topic = format!("load/{number}");
    let end = plan.began + plan.duration;
    // Not all at the same moment.
    let mut due = plan.began + plan.pause * u32::try_from(number % 10).unwrap_or_default() / 10;
    let mut payload = vec![b'x'; plan.size.max(16)];
    loop {
        let mut now = Instant::now();
        while due < end && now < end && sent.may_send(plan) {
            if plan.pause.is_zero() {
                due = now;
            } else if due > now {
                break;
            }
            let sequence = sent.messages.get();
            stamp(&mut payload, number, sequence, due.duration_since(plan.began));
            client.outbox.publish(&topic, false, id_of(sequence), &payload);
            sent.messages.set(sequence + 1);
            due += plan.pause;
            now = Instant::now();
        }
        client.flush().await?;
        let more = due < end && now < end;
        if !more && sent.in_flight() == 0 {
            return client.disconnect().await;
        }
        let may_send = sent.may_send(plan);
        tokio::select! {
            received = client.receive() => received?,
            () = sent.more_received.notified(), if more && !may_send => {}
            () = sleep_until(if may_send { due } else { end }), if more => {}
        }
        while let Some(packet) = client.inbox.next()? {
            if let Packet::Puback(_) = packet {
                sent.acknowledged.set(sent.acknowledged.get() + 1);
            }
        }
    }
}

/// Reads the messages of these publishers, of whose subscribers this is the one in that place.
async fn read(
    mut client: Client,
    plan: Plan,
    sent: &[Sent],
    place: usize,
    tally: &mut Tally,
) -> std::io::Result<()> {
    loop {
        if let Ok(received) = timeout(POLL, client.receive()).await {
            received?;
        }
        let now = plan.began.elapsed();
        while let Some(packet) = client.inbox.next()? {
            let Packet::Publish { id, payload, .. } = packet else { continue };
            if let Some(sent) = tally.count(payload, now, sent)
                && let Some(received) = sent.received.get(place)
            {
                received.set(received.get() + 1);
                sent.more_received.notify_waiters();
            }
            if let Some(id) = id {
                client.outbox.puback(id);
            }
        }
        client.flush().await?;
        if sent.iter().all(|sent| sent.ended.get()) {
            let quiet = now.saturating_sub(tally.last.max(plan.duration)) > QUIET;
            if quiet || tally.received >= expected(sent) {
                return Ok(());
            }
        }
    }
}

impl Tally {
    /// Who sent it, if it is a new one.
    fn count<'a>(&mut self, payload: &[u8], now: Duration, sent: &'a [Sent]) -> Option<&'a Sent> {
        let (number, sequence, due) = stamp_of(payload)?;
        // One publisher alone may have any number.
        let number = if sent.len() == 1 { 0 } else { number };
        let seen = self.seen.get_mut(number)?;
        if seen.len() <= sequence {
            seen.resize(sequence + 1, false);
        }
        if std::mem::replace(seen.get_mut(sequence)?, true) {
            self.again += 1;
            return None;
        }
        self.received += 1;
        self.last = now;
        self.latencies.push(microseconds(now.saturating_sub(due)));
        sent.get(number)
    }
}

/// The payload begins with its publisher, its number, and when it was due.
fn stamp(payload: &mut [u8], number: usize, sequence: usize, due: Duration) {
    let fields =
        [u32::try_from(number), u32::try_from(sequence)].map(Result::unwrap_or_default).map(u32::to_be_bytes);
    let due = u64::try_from(due.as_micros()).unwrap_or_default().to_be_bytes();
    for (place, byte) in payload.iter_mut().zip(fields.as_flattened().iter().chain(&due)) {
        *place = *byte;
    }
}

fn stamp_of(payload: &[u8]) -> Option<(usize, usize, Duration)> {
    let (number, rest) = payload.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (due, _) = rest.split_first_chunk()?;
    let [number, sequence] = [number, sequence].map(|bytes| usize::try_from(u32::from_be_bytes(*bytes)).ok());
    Some((number?, sequence?, Duration::from_micros(u64::from_be_bytes(*due))))
}

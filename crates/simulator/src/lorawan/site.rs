//! A packet forwarder with the nodes in its reach. It touches no socket and no clock: tasks, datagrams and the time go in,
//! datagrams and what became of the tasks come out of [`Site::poll`].
//!
//! The forwarder's clock (`tmst`) tells which receive window a downlink is for, to the µs. A PUSH_DATA without an answer
//! is sent again, a few times; a join or a confirmed frame without an answer too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gateway_core::Timestamp;

use super::clock::{Clock, after};
use super::node::{Node, OnAir, Window};
use super::payload::Payload;
use super::semtech::{self, Downlink, Heard, Received};

/// PULL_DATA, which keeps the way back open.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// After which a PUSH_DATA is sent again; longer each time, up to the last of these.
const RESEND: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// How often a PUSH_DATA is sent: for three minutes.
const PUSHES: usize = 24;
/// How often a node asks to join, one after the other.
const JOINS: u32 = 3;
/// How often a node sends a confirmed frame (LoRaWAN 1.0.4, 19: NbTrans at its largest, rounded up to 1.0's).
const CONFIRMED: u32 = 8;

/// The time, twice: for intervals, and for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

/// What a node is to do; it joins first where it has no session.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The node's place at this site.
    pub(super) node: usize,
    /// `None`: only join; of a node without a session.
    pub(super) payload: Option<Payload>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The node has a session; only of tasks without a payload.
    Joined,
    /// It has asked often enough and has none.
    NotJoined,
    /// The gateway has the frame: it answered the PUSH_DATA, or acknowledged the confirmed frame.
    Arrived {
        readings: u32,
    },
    NotArrived,
    /// Sent once more: to the gateway, or on the air.
    Repeated,
    /// The node has a session, has done listening, and takes the next task.
    Ready,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    Send(Vec<u8>),
    /// Of the node at this place.
    Told(usize, Told),
}

pub(super) struct Site {
    eui: u64,
    confirmed: bool,
    clock: Clock,
    stations: Vec<Station>,
    next_pull: Instant,
    next_token: u16,
    outputs: VecDeque<Output>,
}

struct Station {
    node: Node,
    /// dBm, dB.
    signal: (i32, f64),
    exchange: Option<Exchange>,
}

/// A task under way.
struct Exchange {
    payload: Option<Payload>,
    /// What is on the air is a join request.
    joining: bool,
    /// How often it has been on the air.
    sent: u32,
    /// When the frame ended, by the forwarder's clock and in ms by the node's.
    ended: (u32, u32),
    /// The node's next window, in ms; `None`: it listens no more.
    window: Option<u32>,
    /// The last downlink for one of its windows.
    downlink: Option<Downlink>,
    /// Until it is answered.
    push: Option<Push>,
    /// The outcome was told.
    told: bool,
}

struct Push {
    token: u16,
    datagram: Vec<u8>,
    sent: usize,
    again: Instant,
}

impl Site {
    pub(super) fn new(eui: u64, nodes: Vec<Node>, confirmed: bool, now: Instant) -> Self {
        let stations = nodes.into_iter().enumerate().map(|(place, node)| {
            // The slower a node sends, the weaker it is heard.
            let (rssi, snr) =
                [(-62, 9.5), (-96, 4.2), (-112, -3.0)].get(place % 3).copied().unwrap_or((-62, 9.5));
            Station { node, signal: (rssi - place as i32 % 7, snr), exchange: None }
        });
        Self {
            eui,
            confirmed,
            clock: Clock::new(now),
            stations: stations.collect(),
            next_pull: now,
            next_token: 0,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.stations.iter().all(|station| station.exchange.as_ref().is_none_or(|exchange| exchange.told))
    }

    /// A task for a node that has told that it is ready, or for the first time; another one is not taken.
    pub(super) fn take(&mut self, task: Task, now: Now) {
        let Some(station) = self.stations.get_mut(task.node) else { return };
        if station.exchange.is_some() {
            return;
        }
        let joining = !station.node.has_session();
        station.exchange = Some(Exchange {
            payload: task.payload,
            joining,
            sent: 0,
            ended: (0, 0),
            window: None,
            downlink: None,
            push: None,
            told: false,
        });
        self.transmit(task.node, now);
    }

    /// Something came from the gateway.
    pub(super) fn receive(&mut self, datagram: &[u8], now: Now) {
        match semtech::read(datagram) {
            Some(Received::PushAck(token)) => self.pushed(token),
            Some(Received::PullResp(token, downlink)) => self.send_down(token, &downlink, now.instant),
            Some(Received::PullAck(_)) | None => {}
        }
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn next_deadline(&self) -> Instant {
        let exchanges = self.stations.iter().filter_map(|station| station.exchange.as_ref());
        let windows = exchanges.clone().filter_map(|exchange| Some(self.clock.at(exchange.window?)));
        let pushes = exchanges.filter_map(|exchange| Some(exchange.push.as_ref()?.again));
        windows.chain(pushes).min().map_or(self.next_pull, |first| first.min(self.next_pull))
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self, now: Now) {
        if now.instant >= self.next_pull {
            self.next_pull = now.instant + KEEP_ALIVE;
            let token = self.token();
            self.outputs.push_back(Output::Send(semtech::pull_data(token, self.eui)));
        }
        for place in 0..self.stations.len() {
            self.push_again(place, now.instant);
            self.listen(place, now);
        }
    }

    fn token(&mut self) -> u16 {
        self.next_token = self.next_token.wrapping_add(1);
        self.next_token
    }

    fn tell(&mut self, place: usize, told: Told) {
        self.outputs.push_back(Output::Told(place, told));
    }

    /// The node sends, and the forwarder hears it at once: time on the air is not simulated.
    fn transmit(&mut self, place: usize, now: Now) {
        let tmst = self.clock.end_of_frame(now.instant);
        let millis = self.clock.millis(now.instant);
        let (confirmed, token, eui) = (self.confirmed, self.token(), self.eui);
        let Some(station) = self.stations.get_mut(place) else { return };
        let Some(exchange) = &mut station.exchange else { return };
        let on_air = match &exchange.payload {
            _ if exchange.joining => station.node.join(millis),
            Some(payload) => station.node.send(millis, payload.port, &payload.bytes, confirmed),
            None => None,
        };
        let Some(OnAir { frequency, data_rate, frame, listens }) = on_air else {
            return self.over(place, Told::NotArrived);
        };
        let (rssi, snr) = station.signal;
        let heard = Heard { tmst, time: now.wall.to_string(), frequency, data_rate, rssi, snr, frame };
        let datagram = semtech::push_data(token, eui, &heard);
        self.outputs.push_back(Output::Send(datagram.clone()));
        exchange.sent += 1;
        exchange.ended = (tmst, millis);
        exchange.window = Some(listens);
        exchange.downlink = None;
        exchange.push = Some(Push { token, datagram, sent: 1, again: now.instant + RESEND[0] });
        if exchange.sent > 1 {
            self.tell(place, Told::Repeated);
        }
    }

    fn pushed(&mut self, token: u16) {
        let waits = |station: &Station| {
            let push = station.exchange.as_ref().and_then(|exchange| exchange.push.as_ref());
            push.is_some_and(|push| push.token == token)
        };
        let Some(place) = self.stations.iter().position(waits) else { return };
        let confirmed = self.confirmed;
        let Some(exchange) = self.stations.get_mut(place).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        exchange.push = None;
        if !exchange.joining && !confirmed {
            let readings = exchange.payload.as_ref().map_or(0, |payload| payload.readings);
            self.outcome(place, Told::Arrived { readings });
        }
        self.release(place);
    }

    fn push_again(&mut self, place: usize, now: Instant) {
        let Some(exchange) = self.stations.get_mut(place).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        let Some(push) = exchange.push.as_mut().filter(|push| push.again <= now) else { return };
        if push.sent >= PUSHES {
            exchange.push = None;
            return self.over(place, Told::NotArrived);
        }
        let wait = RESEND.get(push.sent).or(RESEND.last()).copied().unwrap_or(KEEP_ALIVE);
        push.sent += 1;
        push.again = now + wait;
        self.outputs.push_back(Output::Send(push.datagram.clone()));
        self.tell(place, Told::Repeated);
    }

    /// What the gateway wants sent goes to whoever will listen then.
    fn send_down(&mut self, token: u16, downlink: &Downlink, now: Instant) {
        let late = downlink.tmst.is_some_and(|tmst| self.clock.has_passed(tmst, now));
        let error = if late { "TOO_LATE" } else { "NONE" };
        self.outputs.push_back(Output::Send(semtech::tx_ack(token, self.eui, error)));
        // What is sent at once is for nodes of class C; there are none.
        let Some(tmst) = downlink.tmst.filter(|_| !late) else { return };
        let listens = |exchange: &Exchange| {
            exchange.window.is_some()
                && after(tmst, exchange.ended.0).is_some_and(|after| after % 1_000_000 == 0)
        };
        let exchanges = self.stations.iter_mut().filter_map(|station| station.exchange.as_mut());
        for exchange in exchanges.filter(|exchange| listens(exchange)) {
            exchange.downlink = Some(downlink.clone());
        }
    }

    /// Opens and closes the node's window, where one is due.
    fn listen(&mut self, place: usize, now: Now) {
        let confirmed = self.confirmed;
        let clock = self.clock;
        let Some(station) = self.stations.get_mut(place) else { return };
        let Some(exchange) = &mut station.exchange else { return };
        let due = exchange.window.filter(|at| clock.at(*at) <= now.instant);
        let Some(opens) = due else { return };
        let (tmst, millis) = exchange.ended;
        let now_sent = exchange.downlink.as_ref().filter(|downlink| {
            let delay = u64::from(opens.wrapping_sub(millis)) * 1_000;
            downlink.tmst.and_then(|sent| after(sent, tmst)).is_some_and(|after| u64::from(after) == delay)
        });
        let window = station.node.window(now_sent);
        exchange.window = match window {
            Window::Again(at) => Some(at),
            Window::Joined | Window::Spoken { .. } | Window::Silence => None,
        };
        match window {
            Window::Again(_) => {}
            Window::Joined => self.joined(place, now),
            Window::Spoken { acknowledged: true } if confirmed => {
                let readings = exchange.payload.as_ref().map_or(0, |payload| payload.readings);
                exchange.push = None;
                self.over(place, Told::Arrived { readings });
            }
            Window::Spoken { .. } | Window::Silence => self.windows_over(place, now),
        }
    }

    fn joined(&mut self, place: usize, now: Now) {
        let Some(exchange) = self.stations.get_mut(place).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        exchange.push = None;
        if exchange.payload.is_none() {
            return self.over(place, Told::Joined);
        }
        exchange.joining = false;
        exchange.sent = 0;
        self.transmit(place, now);
    }

    /// The node listens no more, and has heard no accept and no acknowledgement.
    fn windows_over(&mut self, place: usize, now: Now) {
        let confirmed = self.confirmed;
        let Some(station) = self.stations.get_mut(place) else { return };
        let Some(exchange) = &mut station.exchange else { return };
        let most = match (exchange.joining, confirmed) {
            (true, _) => JOINS,
            (false, true) => CONFIRMED,
            // It waits for the PUSH_ACK alone.
            (false, false) => return self.release(place),
        };
        // A node knows nothing of PUSH_ACKs: it sends again whatever the forwarder does.
        exchange.push = None;
        if exchange.sent < most {
            return self.transmit(place, now);
        }
        let told = if exchange.joining { Told::NotJoined } else { Told::NotArrived };
        self.over(place, told);
    }

    fn outcome(&mut self, place: usize, told: Told) {
        let Some(exchange) = self.stations.get_mut(place).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        if !exchange.told {
            exchange.told = true;
            self.tell(place, told);
        }
    }

    /// The node may go on where it neither listens nor waits for its frame to arrive.
    fn release(&mut self, place: usize) {
        let Some(station) = self.stations.get_mut(place) else { return };
        let over =
            |exchange: &Exchange| exchange.told && exchange.window.is_none() && exchange.push.is_none();
        if station.exchange.take_if(|exchange| over(exchange)).is_some() && station.node.has_session() {
            self.tell(place, Told::Ready);
        }
    }

    /// The task has come to its end.
    fn over(&mut self, place: usize, told: Told) {
        self.outcome(place, told);
        self.release(place);
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;

//! A packet forwarder with its nodes, without sockets and clock: it takes tasks, datagrams and the time; [`Site::poll`]
//! returns datagrams and the results of the tasks.
//!
//! The forwarder's clock (`tmst`, in µs) determines the receive window of a downlink. A PUSH_DATA without an answer is sent
//! again a few times; so is a join or a confirmed frame.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gateway_core::Timestamp;

use super::clock::{Clock, after};
use super::node::{Node, OnAir, Window};
use super::payload::Payload;
use super::semtech::{self, Downlink, Received, ReceivedFrame};

/// The interval of PULL_DATA, which keeps the path for downlinks open.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The pauses before a PUSH_DATA is sent again; the last one repeats.
const RESEND: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// How often a PUSH_DATA is sent, over three minutes.
const MAX_PUSHES: usize = 24;
/// The join attempts of a node.
const MAX_JOINS: u32 = 3;
/// The transmissions of a confirmed frame (LoRaWAN 1.0.4, 19: the largest NbTrans, rounded up to that of 1.0).
const MAX_TRANSMISSIONS: u32 = 8;

/// The time as instant and as wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

/// A task for a node, which joins first if it has no session.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The index of the node at this site.
    pub(super) node: usize,
    /// `None`: the node only joins.
    pub(super) payload: Option<Payload>,
}

/// The progress or result of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SiteEvent {
    /// The node has joined; only for tasks without a payload.
    Joined,
    /// All join attempts have failed.
    NotJoined,
    /// The gateway has answered the PUSH_DATA, or acknowledged the confirmed frame.
    Arrived {
        readings: u32,
    },
    NotArrived,
    /// A datagram or frame was sent again.
    Repeated,
    /// The node has a session, its windows are over, and it accepts the next task.
    Ready,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    Send(Vec<u8>),
    /// An event of the node with this index.
    Event(usize, SiteEvent),
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

/// A task in progress.
struct Exchange {
    payload: Option<Payload>,
    /// Whether the frame is a join request.
    joining: bool,
    /// The number of transmissions.
    sent: u32,
    /// The end of the frame on the forwarder's clock (µs) and the node's (ms).
    ended: (u32, u32),
    /// The node's next window, in ms; `None`: all windows are over.
    window: Option<u32>,
    /// The last downlink for its windows.
    downlink: Option<Downlink>,
    /// The PUSH_DATA until it is answered.
    push: Option<Push>,
    /// The result was reported.
    reported: bool,
}

struct Push {
    token: u16,
    datagram: Vec<u8>,
    sent: usize,
    again: Instant,
}

impl Site {
    pub(super) fn new(eui: u64, nodes: Vec<Node>, confirmed: bool, now: Instant) -> Self {
        let stations = nodes.into_iter().enumerate().map(|(index, node)| {
            // A node with a lower data rate has a weaker signal.
            let (rssi, snr) =
                [(-62, 9.5), (-96, 4.2), (-112, -3.0)].get(index % 3).copied().unwrap_or((-62, 9.5));
            Station { node, signal: (rssi - index as i32 % 7, snr), exchange: None }
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

    /// Whether no task is in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.stations.iter().all(|station| station.exchange.as_ref().is_none_or(|exchange| exchange.reported))
    }

    /// Starts a task; ignores it if the node is busy.
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
            reported: false,
        });
        self.transmit(task.node, now);
    }

    /// Takes a datagram of the gateway.
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

    /// Handles timeouts.
    pub(super) fn timeout(&mut self, now: Now) {
        if now.instant >= self.next_pull {
            self.next_pull = now.instant + KEEP_ALIVE;
            let token = self.token();
            self.outputs.push_back(Output::Send(semtech::pull_data(token, self.eui)));
        }
        for index in 0..self.stations.len() {
            self.push_again(index, now.instant);
            self.listen(index, now);
        }
    }

    fn token(&mut self) -> u16 {
        self.next_token = self.next_token.wrapping_add(1);
        self.next_token
    }

    fn emit(&mut self, index: usize, event: SiteEvent) {
        self.outputs.push_back(Output::Event(index, event));
    }

    /// The node sends a frame, and the forwarder receives it at once: time on air is not simulated.
    fn transmit(&mut self, index: usize, now: Now) {
        let tmst = self.clock.end_of_frame(now.instant);
        let millis = self.clock.millis(now.instant);
        let (confirmed, token, eui) = (self.confirmed, self.token(), self.eui);
        let Some(station) = self.stations.get_mut(index) else { return };
        let Some(exchange) = &mut station.exchange else { return };
        let on_air = match &exchange.payload {
            _ if exchange.joining => station.node.join(millis),
            Some(payload) => station.node.send(millis, payload.port, &payload.bytes, confirmed),
            None => None,
        };
        let Some(OnAir { frequency, data_rate, frame, listens }) = on_air else {
            return self.finish(index, SiteEvent::NotArrived);
        };
        let (rssi, snr) = station.signal;
        let received =
            ReceivedFrame { tmst, time: now.wall.to_string(), frequency, data_rate, rssi, snr, frame };
        let datagram = semtech::push_data(token, eui, &received);
        self.outputs.push_back(Output::Send(datagram.clone()));
        exchange.sent += 1;
        exchange.ended = (tmst, millis);
        exchange.window = Some(listens);
        exchange.downlink = None;
        exchange.push = Some(Push { token, datagram, sent: 1, again: now.instant + RESEND[0] });
        if exchange.sent > 1 {
            self.emit(index, SiteEvent::Repeated);
        }
    }

    fn pushed(&mut self, token: u16) {
        let waits = |station: &Station| {
            let push = station.exchange.as_ref().and_then(|exchange| exchange.push.as_ref());
            push.is_some_and(|push| push.token == token)
        };
        let Some(index) = self.stations.iter().position(waits) else { return };
        let confirmed = self.confirmed;
        let Some(exchange) = self.stations.get_mut(index).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        exchange.push = None;
        if !exchange.joining && !confirmed {
            let readings = exchange.payload.as_ref().map_or(0, |payload| payload.readings);
            self.report(index, SiteEvent::Arrived { readings });
        }
        self.release(index);
    }

    fn push_again(&mut self, index: usize, now: Instant) {
        let Some(exchange) = self.stations.get_mut(index).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        let Some(push) = exchange.push.as_mut().filter(|push| push.again <= now) else { return };
        if push.sent >= MAX_PUSHES {
            exchange.push = None;
            return self.finish(index, SiteEvent::NotArrived);
        }
        let wait = RESEND.get(push.sent).or(RESEND.last()).copied().unwrap_or(KEEP_ALIVE);
        push.sent += 1;
        push.again = now + wait;
        self.outputs.push_back(Output::Send(push.datagram.clone()));
        self.emit(index, SiteEvent::Repeated);
    }

    /// Gives a downlink to the nodes with a window at its time.
    fn send_down(&mut self, token: u16, downlink: &Downlink, now: Instant) {
        let late = downlink.tmst.is_some_and(|tmst| self.clock.has_passed(tmst, now));
        let error = if late { "TOO_LATE" } else { "NONE" };
        self.outputs.push_back(Output::Send(semtech::tx_ack(token, self.eui, error)));
        // Immediate downlinks are for class C nodes; there are none.
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

    /// Opens and closes the node's window if it is due.
    fn listen(&mut self, index: usize, now: Now) {
        let confirmed = self.confirmed;
        let clock = self.clock;
        let Some(station) = self.stations.get_mut(index) else { return };
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
            Window::Joined | Window::Received { .. } | Window::Silence => None,
        };
        match window {
            Window::Again(_) => {}
            Window::Joined => self.joined(index, now),
            Window::Received { acknowledged: true } if confirmed => {
                let readings = exchange.payload.as_ref().map_or(0, |payload| payload.readings);
                exchange.push = None;
                self.finish(index, SiteEvent::Arrived { readings });
            }
            Window::Received { .. } | Window::Silence => self.windows_over(index, now),
        }
    }

    fn joined(&mut self, index: usize, now: Now) {
        let Some(exchange) = self.stations.get_mut(index).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        exchange.push = None;
        if exchange.payload.is_none() {
            return self.finish(index, SiteEvent::Joined);
        }
        exchange.joining = false;
        exchange.sent = 0;
        self.transmit(index, now);
    }

    /// The windows are over without a join accept or acknowledgement.
    fn windows_over(&mut self, index: usize, now: Now) {
        let confirmed = self.confirmed;
        let Some(station) = self.stations.get_mut(index) else { return };
        let Some(exchange) = &mut station.exchange else { return };
        let most = match (exchange.joining, confirmed) {
            (true, _) => MAX_JOINS,
            (false, true) => MAX_TRANSMISSIONS,
            // It waits only for the PUSH_ACK.
            (false, false) => return self.release(index),
        };
        // A node knows nothing of PUSH_ACKs, so it sends again in any case.
        exchange.push = None;
        if exchange.sent < most {
            return self.transmit(index, now);
        }
        let event = if exchange.joining { SiteEvent::NotJoined } else { SiteEvent::NotArrived };
        self.finish(index, event);
    }

    fn report(&mut self, index: usize, event: SiteEvent) {
        let Some(exchange) = self.stations.get_mut(index).and_then(|station| station.exchange.as_mut())
        else {
            return;
        };
        if !exchange.reported {
            exchange.reported = true;
            self.emit(index, event);
        }
    }

    /// Ends the task when the result is reported, the windows are over and the PUSH_DATA is answered.
    fn release(&mut self, index: usize) {
        let Some(station) = self.stations.get_mut(index) else { return };
        let over =
            |exchange: &Exchange| exchange.reported && exchange.window.is_none() && exchange.push.is_none();
        if station.exchange.take_if(|exchange| over(exchange)).is_some() && station.node.has_session() {
            self.emit(index, SiteEvent::Ready);
        }
    }

    /// Reports the result and ends the task.
    fn finish(&mut self, index: usize, event: SiteEvent) {
        self.report(index, event);
        self.release(index);
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;

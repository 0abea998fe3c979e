//! Downlinks: the receive windows after an uplink, the queue, and the frame built from both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::adr::Choice;
use crate::data_rate::DataRate;
use crate::frame::DataDown;
use crate::ids::Eui;
use crate::output::{DownlinkId, Receiver};
use crate::region::Region;
use crate::semtech::When;
use crate::session::RxParameters;
use crate::settings::Settings;

/// The maximum length of FOpts.
const F_OPTS: usize = 15;

/// The receive windows after an uplink.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The best first.
    pub(crate) received_by: Vec<ReceivedBy>,
    /// When the first copy arrived.
    pub(crate) received_at: Instant,
    /// From the end of the uplink to RX1.
    pub(crate) delay: Duration,
    pub(crate) rx: RxParameters,
    pub(crate) requested: RequestedAnswer,
}

/// What a gateway needs to know to answer an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceivedBy {
    gateway: Eui,
    tmst: u32,
    frequency: u32,
    data_rate: DataRate,
}

impl From<&Receiver> for ReceivedBy {
    fn from(receiver: &Receiver) -> Self {
        let Receiver { gateway, tmst, frequency, data_rate, .. } = *receiver;
        Self { gateway, tmst, frequency, data_rate }
    }
}

/// The answers that an uplink requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RequestedAnswer {
    pub(crate) ack: bool,
    /// The device requests any downlink (ADRACKReq).
    pub(crate) wants_downlink: bool,
    /// The device uses ADR.
    pub(crate) adr: bool,
    pub(crate) link_check: Option<[u8; 3]>,
    pub(crate) device_time: Option<[u8; 6]>,
}

/// RX1 or RX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RxWindow {
    First,
    Second,
}

/// A time and frequency at which a gateway can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DownlinkSlot {
    pub(crate) gateway: Eui,
    pub(crate) when: When,
    /// In Hz.
    pub(crate) frequency: u32,
    /// The number of the data rate.
    pub(crate) data_rate: u8,
    /// When the forwarder must have the frame.
    pub(crate) until: Instant,
}

impl Window {
    /// How each gateway that received the uplink would send, the best first; none where it is too late.
    pub(crate) fn slots(&self, rx_window: RxWindow, settings: &Settings, now: Instant) -> Vec<DownlinkSlot> {
        let after = match rx_window {
            RxWindow::First => self.delay,
            RxWindow::Second => self.delay + Duration::from_secs(1),
        };
        let Some(until) = (self.received_at + after).checked_sub(settings.lead).filter(|until| *until >= now)
        else {
            return Vec::new();
        };
        let slot = |received_by| self.slot(rx_window, after, received_by, settings.region, until);
        self.received_by.iter().filter_map(slot).collect()
    }

    fn slot(
        &self,
        rx_window: RxWindow,
        after: Duration,
        received_by: &ReceivedBy,
        region: Region,
        until: Instant,
    ) -> Option<DownlinkSlot> {
        let (frequency, data_rate) = match rx_window {
            RxWindow::First => {
                let uplink = region.uplink_number(received_by.data_rate)?;
                region.rx1(received_by.frequency, uplink, self.rx.rx1_offset)?
            }
            RxWindow::Second => (self.rx.rx2_frequency, self.rx.rx2_data_rate),
        };
        // The delays are seconds, far below the 71 minutes after which the clock starts again.
        let micros = u32::try_from(after.as_micros()).ok()?;
        let when = When::Tmst(received_by.tmst.wrapping_add(micros));
        Some(DownlinkSlot { gateway: received_by.gateway, when, frequency, data_rate, until })
    }
}

/// A downlink that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) id: DownlinkId,
    pub(crate) f_port: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) confirmed: bool,
}

/// A device's downlinks that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    items: VecDeque<Queued>,
    most: usize,
}

impl Queue {
    pub(crate) fn new(most: usize) -> Self {
        Self { items: VecDeque::new(), most }
    }

    /// Adds one; says how many wait where there is no room.
    pub(crate) fn push(&mut self, item: Queued) -> Result<(), usize> {
        if self.items.len() >= self.most {
            return Err(self.items.len());
        }
        self.items.push_back(item);
        Ok(())
    }

    pub(crate) fn front(&self) -> Option<&Queued> {
        self.items.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        self.items.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

/// MAC commands to add if there is space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OptionalCommands {
    pub(crate) adr: Option<(Choice, [u8; 5])>,
    pub(crate) status: Option<[u8; 1]>,
}

/// A frame, and which of the pending items it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComposedFrame {
    pub(crate) frame: DataDown,
    pub(crate) takes_item: bool,
    pub(crate) adr: Option<Choice>,
    pub(crate) asks_status: bool,
}

/// Builds a frame with a payload of at most `room` bytes; `None` if there is nothing to send.
pub(crate) fn compose(
    requested: &RequestedAnswer,
    optional_commands: OptionalCommands,
    queue: &Queue,
    room: usize,
) -> Option<ComposedFrame> {
    let mut f_opts = Vec::new();
    let mut room = room;
    let mut add = |bytes: &[u8], room: &mut usize| {
        let fits = bytes.len() <= *room && f_opts.len() + bytes.len() <= F_OPTS;
        if fits {
            f_opts.extend_from_slice(bytes);
            *room -= bytes.len();
        }
        fits
    };
    if let Some(answer) = requested.link_check {
        add(&answer, &mut room);
    }
    if let Some(answer) = requested.device_time {
        add(&answer, &mut room);
    }
    let item = queue.front().filter(|item| item.payload.len() <= room);
    room -= item.map_or(0, |item| item.payload.len());
    let adr = optional_commands.adr.filter(|(_, command)| add(command, &mut room)).map(|(choice, _)| choice);
    let asks_status = optional_commands.status.is_some_and(|command| add(&command, &mut room));
    if !requested.ack && !requested.wants_downlink && f_opts.is_empty() && item.is_none() {
        return None;
    }
    let frame = DataDown {
        confirmed: item.is_some_and(|item| item.confirmed),
        adr: requested.adr,
        ack: requested.ack,
        pending: queue.len() > usize::from(item.is_some()),
        f_opts,
        data: item.map(|item| (item.f_port, item.payload.clone())),
    };
    Some(ComposedFrame { frame, takes_item: item.is_some(), adr, asks_status })
}

#[cfg(test)]
#[path = "downlink_tests.rs"]
mod tests;

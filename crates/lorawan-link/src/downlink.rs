//! What is sent to a device, and when it listens: the windows behind an uplink, the queue, and a frame made of both.

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

/// The most bytes of FOpts.
const F_OPTS: usize = 15;

/// The receive windows behind an uplink.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// Who heard the uplink, the best first.
    pub(crate) heard_by: Vec<HeardBy>,
    /// When its first copy came.
    pub(crate) heard: Instant,
    /// From the end of the uplink to the first window.
    pub(crate) delay: Duration,
    pub(crate) rx: RxParameters,
    /// What its sender waits for.
    pub(crate) owed: Owed,
}

/// What a gateway has to know to answer an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeardBy {
    gateway: Eui,
    tmst: u32,
    frequency: u32,
    data_rate: DataRate,
}

impl From<&Receiver> for HeardBy {
    fn from(receiver: &Receiver) -> Self {
        let Receiver { gateway, tmst, frequency, data_rate, .. } = *receiver;
        Self { gateway, tmst, frequency, data_rate }
    }
}

/// What an uplink is to be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Owed {
    pub(crate) ack: bool,
    /// The device wants to hear anything at all.
    pub(crate) sign_of_life: bool,
    /// The device follows ADR.
    pub(crate) adr: bool,
    pub(crate) link_check: Option<[u8; 3]>,
    pub(crate) device_time: Option<[u8; 6]>,
}

/// One of the windows behind an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    First,
    Second,
}

/// Where and when a gateway has to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) gateway: Eui,
    pub(crate) when: When,
    /// In Hz.
    pub(crate) frequency: u32,
    /// Number of the data rate.
    pub(crate) data_rate: u8,
    /// When the forwarder has to have it.
    pub(crate) until: Instant,
}

impl Window {
    /// How each gateway that heard the uplink would send, the best first; none where it is too late.
    pub(crate) fn shots(&self, slot: Slot, settings: &Settings, now: Instant) -> Vec<Shot> {
        let after = match slot {
            Slot::First => self.delay,
            Slot::Second => self.delay + Duration::from_secs(1),
        };
        let Some(until) = (self.heard + after).checked_sub(settings.lead).filter(|until| *until >= now)
        else {
            return Vec::new();
        };
        let shot = |heard_by| self.shot(slot, after, heard_by, settings.region, until);
        self.heard_by.iter().filter_map(shot).collect()
    }

    fn shot(
        &self,
        slot: Slot,
        after: Duration,
        heard_by: &HeardBy,
        region: Region,
        until: Instant,
    ) -> Option<Shot> {
        let (frequency, data_rate) = match slot {
            Slot::First => {
                let uplink = region.uplink_number(heard_by.data_rate)?;
                region.rx1(heard_by.frequency, uplink, self.rx.rx1_offset)?
            }
            Slot::Second => (self.rx.rx2_frequency, self.rx.rx2_data_rate),
        };
        // The delays are seconds, far below the 71 minutes after which the clock starts again.
        let micros = u32::try_from(after.as_micros()).ok()?;
        let when = When::Tmst(heard_by.tmst.wrapping_add(micros));
        Some(Shot { gateway: heard_by.gateway, when, frequency, data_rate, until })
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

/// What else a device may be told, where there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wishes {
    pub(crate) adr: Option<(Choice, [u8; 5])>,
    pub(crate) status: Option<[u8; 1]>,
}

/// A frame, and what of that which waited is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Composed {
    pub(crate) frame: DataDown,
    pub(crate) takes_item: bool,
    pub(crate) adr: Option<Choice>,
    pub(crate) asks_status: bool,
}

/// Puts a frame together that carries `room` bytes at most; `None` where there is nothing to say.
pub(crate) fn compose(owed: &Owed, wishes: Wishes, queue: &Queue, room: usize) -> Option<Composed> {
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
    if let Some(answer) = owed.link_check {
        add(&answer, &mut room);
    }
    if let Some(answer) = owed.device_time {
        add(&answer, &mut room);
    }
    let item = queue.front().filter(|item| item.payload.len() <= room);
    room -= item.map_or(0, |item| item.payload.len());
    let adr = wishes.adr.filter(|(_, command)| add(command, &mut room)).map(|(choice, _)| choice);
    let asks_status = wishes.status.is_some_and(|command| add(&command, &mut room));
    if !owed.ack && !owed.sign_of_life && f_opts.is_empty() && item.is_none() {
        return None;
    }
    let frame = DataDown {
        confirmed: item.is_some_and(|item| item.confirmed),
        adr: owed.adr,
        ack: owed.ack,
        pending: queue.len() > usize::from(item.is_some()),
        f_opts,
        data: item.map(|item| (item.f_port, item.payload.clone())),
    };
    Some(Composed { frame, takes_item: item.is_some(), adr, asks_status })
}

#[cfg(test)]
#[path = "downlink_tests.rs"]
mod tests;

//! A device: its configuration, its stored state and its state in memory.

use std::collections::VecDeque;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::adr::Adr;
use crate::downlink::{Queue, Window};
use crate::ids::{DevAddr, Eui};
use crate::join::Joining;
use crate::key::Key;
use crate::output::DownlinkId;
use crate::region::Region;
use crate::session::{RxParameters, Session};

/// The number of DevNonces remembered per device. Nodes before 1.0.4 choose them at random; an older one could be replayed,
/// which costs a useless join accept: a session is used only after the device has used it.
pub(crate) const DEV_NONCES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Class {
    /// After its own uplinks.
    #[default]
    A,
    /// All the time, in its second window.
    C,
}

/// Activation by personalisation: a preconfigured session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abp {
    /// The device's address.
    pub address: DevAddr,
    /// NwkSKey.
    pub nwk_s_key: Key,
    /// AppSKey.
    pub app_s_key: Key,
    /// The counter of the last frame accepted by another server, if any.
    pub last_f_cnt_up: Option<u32>,
    /// The receive windows; `None` for the region's defaults.
    pub rx: Option<RxParameters>,
    /// Whether it may restart its counter at 0. Its first frames can then be replayed by a recorder.
    pub resets: bool,
}

/// Over-the-air activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otaa {
    pub join_eui: Eui,
    /// AppKey.
    pub app_key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    Abp(Abp),
    Otaa(Otaa),
}

/// The configuration of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConfig {
    pub dev_eui: Eui,
    pub activation: Activation,
    pub class: Class,
}

/// The stored state of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceState {
    pub session: Option<Session>,
    /// Offered by a join accept; the device has not used it yet.
    pub offered: Option<Session>,
    /// The DevNonces of the last join requests, newest last.
    pub dev_nonces: VecDeque<u16>,
    /// The number of join accepts sent; the next AppNonce is one more.
    pub app_nonces: u32,
    /// Its counters were lost: its frames are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
}

/// An ABP device with lost counters is rejected until its configuration has another
/// [`last_f_cnt_up`](Abp::last_f_cnt_up) than before, or permits a restart at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The configured counter when they were lost.
    pub last_f_cnt_up: Option<u32>,
}

impl DeviceState {
    /// The state to continue with when the stored one cannot be read, so that no nonce or counter is used twice. The AppNonces
    /// of an OTAA device continue above all that can have been used. An ABP device is [locked](Locked), unless it may restart
    /// its counter.
    #[must_use]
    pub fn after_loss(config: &DeviceConfig, region: Region, now: Timestamp) -> Self {
        match &config.activation {
            Activation::Otaa(_) => Self { app_nonces: app_nonces_by(now), ..Self::default() },
            Activation::Abp(abp) if abp.resets => Self::default(),
            Activation::Abp(abp) => {
                let (network, app) = (abp.nwk_s_key.clone(), abp.app_s_key.clone());
                let session = Session::new(abp.address, network, app, None, RxParameters::of(region));
                let locked = Some(Locked { last_f_cnt_up: abp.last_f_cnt_up });
                Self { session: Some(session), locked, ..Self::default() }
            }
        }
    }
}

/// More AppNonces than a device can have used: one per minute since 2020; 24 bits last for 32 years.
fn app_nonces_by(now: Timestamp) -> u32 {
    const BEGIN: i64 = 1_577_836_800;
    u32::try_from(now.as_second().saturating_sub(BEGIN) / 60).unwrap_or(0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionSlot {
    Current,
    Offered,
}

/// A device in memory.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) config: DeviceConfig,
    pub(crate) state: DeviceState,
    pub(crate) joining: Option<Joining>,
    /// The uplink reported last.
    pub(crate) reported: Option<ReportedUplink>,
    /// The receive windows after its last uplink.
    pub(crate) window: Option<Window>,
    pub(crate) queue: Queue,
    /// The last confirmed downlink sent.
    pub(crate) unconfirmed: Option<DownlinkId>,
    pub(crate) adr: Adr,
    pub(crate) status_asked: Option<Instant>,
    /// The gateways that received it last, the best first.
    pub(crate) received_by: Vec<Eui>,
}

/// An uplink reported to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportedUplink {
    pub(crate) serial: u64,
    pub(crate) f_cnt: u32,
    pub(crate) first_received_at: Instant,
    pub(crate) confirmed: bool,
    /// The host could not accept it; the device may repeat it.
    pub(crate) rejected: bool,
}

impl Device {
    pub(crate) fn new(
        config: DeviceConfig,
        stored: Option<DeviceState>,
        usual: RxParameters,
        queue: usize,
    ) -> Self {
        let mut state = stored.unwrap_or_default();
        if let Activation::Abp(abp) = &config.activation {
            let same = |session: &Session| {
                session.address == abp.address
                    && session.nwk_s_key == abp.nwk_s_key
                    && session.app_s_key == abp.app_s_key
            };
            let has_new_counter = |locked: &Locked| abp.resets || abp.last_f_cnt_up != locked.last_f_cnt_up;
            let unlocked = state.locked.take_if(|locked| has_new_counter(locked)).is_some();
            if unlocked {
                let (network, app) = (abp.nwk_s_key.clone(), abp.app_s_key.clone());
                let session = Session::new(abp.address, network, app, abp.last_f_cnt_up, usual);
                state.session = Some(session.with_counter_behind_uplinks());
            } else if !state.session.as_ref().is_some_and(same) {
                state.locked = None;
                let (network, app) = (abp.nwk_s_key.clone(), abp.app_s_key.clone());
                state.session = Some(Session::new(abp.address, network, app, abp.last_f_cnt_up, usual));
            }
            if let Some(session) = &mut state.session {
                session.rx = abp.rx.unwrap_or(usual);
            }
            state.offered = None;
        } else {
            state.locked = None;
        }
        Self {
            config,
            state,
            joining: None,
            reported: None,
            window: None,
            queue: Queue::new(queue),
            unconfirmed: None,
            adr: Adr::default(),
            status_asked: None,
            received_by: Vec::new(),
        }
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.state.locked.is_some()
    }

    pub(crate) fn resets(&self) -> bool {
        matches!(&self.config.activation, Activation::Abp(abp) if abp.resets)
    }

    pub(crate) fn session(&self, which: SessionSlot) -> Option<&Session> {
        match which {
            SessionSlot::Current => self.state.session.as_ref(),
            SessionSlot::Offered => self.state.offered.as_ref(),
        }
    }

    /// Makes the offered session the current one.
    pub(crate) fn promote(&mut self) {
        self.state.session = self.state.offered.take();
        self.reported = None;
        self.window = None;
        self.adr = Adr::default();
        self.status_asked = None;
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = DevAddr> {
        let sessions = [&self.state.session, &self.state.offered];
        sessions.into_iter().flatten().map(|session| session.address)
    }
}

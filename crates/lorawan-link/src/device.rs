//! A device: what its owner says of it, what is stored of it, and what is only known while the process runs.

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

/// How many DevNonces of a device are remembered. Nodes before 1.0.4 draw them by lot; an older one could be replayed,
/// which costs a join accept that nobody listens to: a session is used only after the device has used it.
pub(crate) const DEV_NONCES: usize = 256;

/// When a device listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Class {
    /// After its own uplinks.
    #[default]
    A,
    /// All the time, in its second window.
    C,
}

/// A session that was agreed on beforehand (ABP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abp {
    /// The device's address.
    pub address: DevAddr,
    /// For integrity and MAC commands.
    pub nwk_s_key: Key,
    /// For the application's data.
    pub app_s_key: Key,
    /// The counter of the last frame that another server accepted; `None` where there is none.
    pub last_f_cnt_up: Option<u32>,
    /// When and where it listens; `None`: as its region has it.
    pub rx: Option<RxParameters>,
    /// Whether it may start its counter again at 0. Then who recorded its first frames can replay them.
    pub resets: bool,
}

/// What a device joins with (OTAA).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otaa {
    /// The JoinEUI (AppEUI) that it sends.
    pub join_eui: Eui,
    /// Its own key.
    pub app_key: Key,
}

/// How a device comes to its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// It has one.
    Abp(Abp),
    /// It joins.
    Otaa(Otaa),
}

/// What a device's owner says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Its name in all that comes out.
    pub dev_eui: Eui,
    /// How it comes to its session.
    pub activation: Activation,
    /// When it listens.
    pub class: Class,
}

/// What is stored of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceState {
    /// The session in use.
    pub session: Option<Session>,
    /// One that was offered by a join accept and that the device has not used yet.
    pub offered: Option<Session>,
    /// The DevNonces of its last join requests, the newest last.
    pub dev_nonces: VecDeque<u16>,
    /// How many join accepts it was sent: the next AppNonce is one more.
    pub app_nonces: u32,
    /// Its counters were lost: its frames are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
}

/// An ABP device whose counters were lost is not heard until its owner says where its counter is, with another
/// [`last_f_cnt_up`](Abp::last_f_cnt_up) than before, or that it may start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// What its owner had said when they were lost.
    pub last_f_cnt_up: Option<u32>,
}

impl DeviceState {
    /// What to go on with when the state that was stored of a device cannot be read, so that nothing is used twice: the
    /// AppNonces of a device that joins go on above all that can have been used; an ABP device is
    /// [locked](Locked), unless it may start anew whenever it likes.
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

/// More AppNonces than a device can have used: one for each minute since 2020, of the 24 bits' 32 years.
fn app_nonces_by(now: Timestamp) -> u32 {
    const BEGIN: i64 = 1_577_836_800;
    u32::try_from(now.as_second().saturating_sub(BEGIN) / 60).unwrap_or(0)
}

/// One of a device's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    InUse,
    Offered,
}

/// A device as the network has it.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) config: DeviceConfig,
    pub(crate) state: DeviceState,
    pub(crate) joining: Option<Joining>,
    /// The uplink that the host was told last.
    pub(crate) told: Option<Told>,
    /// The receive windows behind its last uplink.
    pub(crate) window: Option<Window>,
    pub(crate) queue: Queue,
    /// The confirmed downlink that was sent last.
    pub(crate) unconfirmed: Option<DownlinkId>,
    pub(crate) adr: Adr,
    pub(crate) status_asked: Option<Instant>,
    /// Where it was heard last, the best first.
    pub(crate) heard_by: Vec<Eui>,
}

/// A confirmed or unconfirmed uplink that the host was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) serial: u64,
    pub(crate) f_cnt: u32,
    pub(crate) first_heard: Instant,
    pub(crate) confirmed: bool,
    /// The host could not take it, and its device may send it again.
    pub(crate) untaken: bool,
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
            let is_told = |locked: &Locked| abp.resets || abp.last_f_cnt_up != locked.last_f_cnt_up;
            let unlocked = state.locked.take_if(|locked| is_told(locked)).is_some();
            if unlocked {
                let (network, app) = (abp.nwk_s_key.clone(), abp.app_s_key.clone());
                let session = Session::new(abp.address, network, app, abp.last_f_cnt_up, usual);
                state.session = Some(session.with_downlinks_behind_uplinks());
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
            told: None,
            window: None,
            queue: Queue::new(queue),
            unconfirmed: None,
            adr: Adr::default(),
            status_asked: None,
            heard_by: Vec::new(),
        }
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.state.locked.is_some()
    }

    pub(crate) fn resets(&self) -> bool {
        matches!(&self.config.activation, Activation::Abp(abp) if abp.resets)
    }

    pub(crate) fn session(&self, which: Which) -> Option<&Session> {
        match which {
            Which::InUse => self.state.session.as_ref(),
            Which::Offered => self.state.offered.as_ref(),
        }
    }

    /// The device has used the session that it was offered: that is the one from now on.
    pub(crate) fn promote(&mut self) {
        self.state.session = self.state.offered.take();
        self.told = None;
        self.window = None;
        self.adr = Adr::default();
        self.status_asked = None;
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = DevAddr> {
        let sessions = [&self.state.session, &self.state.offered];
        sessions.into_iter().flatten().map(|session| session.address)
    }
}

//! The network server without sockets: takes datagrams, commands and the time, returns outputs.

mod answers;
mod joins;
mod uplinks;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::answers::PendingTransmission;
use self::uplinks::{Accepted, Origin};
use crate::dedup::PendingFrames;
use crate::device::{Device, DeviceConfig, DeviceState};
use crate::gateways::{GatewayView, Gateways};
use crate::ids::{DevAddr, Eui};
use crate::output::{Failure, Outcome, Output, StoreToken};
use crate::reason::Reason;
use crate::semtech::{Head, Kind, Malformed};
use crate::session::RxParameters;
use crate::settings::Settings;

/// The host's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For timestamps.
    pub wall: Timestamp,
}

/// The current memory use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    pub devices: usize,
    pub gateways: usize,
    /// Frames waiting for further copies.
    pub held: usize,
    /// Transmissions without a result.
    pub transmissions: usize,
    /// Queued downlinks.
    pub queued: usize,
}

/// A network server. The [crate documentation](crate) describes how to drive it.
#[derive(Debug)]
pub struct Network {
    settings: Settings,
    rng: StdRng,
    queue: VecDeque<Output>,
    devices: HashMap<Eui, Device, foldhash::fast::RandomState>,
    /// The devices of each address.
    addresses: HashMap<DevAddr, Vec<Eui>, foldhash::fast::RandomState>,
    gateways: Gateways,
    held: PendingFrames<Accepted>,
    transmissions: VecDeque<PendingTransmission>,
    /// Class C devices whose downlinks found no forwarder.
    deferred: BTreeSet<Eui>,
    refused: BTreeMap<Reason, u64>,
    serial: u64,
}

impl Network {
    /// A network without devices.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            rng: StdRng::seed_from_u64(settings.seed),
            queue: VecDeque::new(),
            devices: HashMap::default(),
            addresses: HashMap::default(),
            gateways: Gateways::new(&settings),
            held: PendingFrames::new(settings.dedup, settings.held, settings.receivers),
            transmissions: VecDeque::new(),
            deferred: BTreeSet::new(),
            refused: BTreeMap::new(),
            serial: 0,
            settings,
        }
    }

    /// Adds or changes a device. `stored` is its stored state, if any.
    ///
    /// A stored session of an ABP device is used only if it matches `config`: the counters come from the store, keys and
    /// address from the configuration.
    pub fn add(&mut self, config: DeviceConfig, stored: Option<DeviceState>) {
        self.remove(config.dev_eui);
        let eui = config.dev_eui;
        let usual = RxParameters::of(self.settings.region);
        let device = Device::new(config, stored, usual, self.settings.queue);
        for address in device.addresses() {
            self.addresses.entry(address).or_default().push(eui);
        }
        self.devices.insert(eui, device);
    }

    /// Removes a device; its queued downlinks fail. Returns its current state.
    pub fn remove(&mut self, device: Eui) -> Option<DeviceState> {
        let mut removed = self.devices.remove(&device)?;
        for address in removed.addresses() {
            self.forget_address(address, device);
        }
        while let Some(item) = removed.queue.pop() {
            let outcome = Outcome::Failed(Failure::Removed);
            self.queue.push_back(Output::Downlink { device, id: item.id, outcome });
        }
        Some(removed.state)
    }

    /// The state of a device to be stored.
    #[must_use]
    pub fn state(&self, device: Eui) -> Option<&DeviceState> {
        self.devices.get(&device).map(|device| &device.state)
    }

    /// The devices that are [locked](crate::Locked), in no order.
    pub fn locked(&self) -> impl Iterator<Item = Eui> {
        self.devices.iter().filter(|(_, device)| device.is_locked()).map(|(eui, _)| *eui)
    }

    /// Handles a datagram of a packet forwarder.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Now) {
        let (head, json) = match Head::decode(datagram) {
            Ok(decoded) => decoded,
            Err(malformed) => {
                let reason = match malformed {
                    Malformed::Short => Reason::DatagramShort,
                    Malformed::Version => Reason::Version,
                    Malformed::Kind => Reason::DatagramKind,
                };
                return self.refuse(reason, from, None, None);
            }
        };
        let gateway = match self.gateways.record_datagram(head.gateway, now.instant) {
            Ok(gateway) => gateway,
            Err(reason) => return self.refuse(reason, from, Some(head.gateway), None),
        };
        if head.kind == Kind::PullData {
            gateway.pull_data_received(from, head.version, now.instant);
        }
        if let Some(bytes) = head.acknowledgement() {
            self.queue.push_back(Output::Send { to: from, bytes: bytes.to_vec() });
        }
        match head.kind {
            Kind::PushData => self.pushed(Origin { from, gateway: head.gateway }, json, now),
            Kind::PullData => self.flush_deferred(now),
            Kind::TxAck => self.tx_acknowledged(&head, json, now),
        }
        self.close_held(now);
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Now) {
        self.close_held(now);
        self.complete_transmissions(now);
    }

    /// When to call [`timeout`](Self::timeout); `None` if nothing is pending.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let flight = self.transmissions.iter().filter_map(|flight| flight.due).min();
        [self.held.next_deadline(), flight].into_iter().flatten().min()
    }

    /// The next output. Call it after every other call until it returns `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// Counters of rejections by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.refused.iter().map(|(reason, count)| (*reason, *count))
    }

    /// The state of the forwarders and their duty cycle.
    pub fn gateways(&mut self, now: Now) -> Vec<GatewayView> {
        self.gateways.views(now.instant)
    }

    #[must_use]
    pub fn memory_use(&self) -> MemoryUse {
        MemoryUse {
            devices: self.devices.len(),
            gateways: self.gateways.len(),
            held: self.held.len(),
            transmissions: self.transmissions.len(),
            queued: self.devices.values().map(|device| device.queue.len()).sum(),
        }
    }

    fn refuse(
        &mut self,
        reason: Reason,
        from: SocketAddr,
        gateway: Option<Eui>,
        claimed: Option<crate::output::Claimed>,
    ) {
        *self.refused.entry(reason).or_default() += 1;
        self.queue.push_back(Output::Refused { reason, from, gateway, claimed });
    }

    /// Outputs a device's state to be stored.
    fn store(&mut self, device: Eui) -> u64 {
        let serial = self.next_serial();
        if let Some(known) = self.devices.get(&device) {
            let state = Box::new(known.state.clone());
            self.queue.push_back(Output::Store { token: StoreToken { device, serial }, state });
        }
        serial
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn forget_address(&mut self, address: DevAddr, device: Eui) {
        if let Some(sharing) = self.addresses.get_mut(&address) {
            sharing.retain(|other| *other != device);
            if sharing.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    /// An unused address.
    fn unused_address(&mut self) -> Option<DevAddr> {
        let start: u32 = self.rng.random();
        let mut numbers = (0..1_024).map(|step| start.wrapping_add(step));
        numbers.find_map(|number| {
            let address = self.settings.net_id.address(number);
            (!self.addresses.contains_key(&address)).then_some(address)
        })
    }
}

//! The packet forwarders: when they were last seen, their downlink address and their duty cycle.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::duty::{DutyCycle, DutyCycleUse};
use crate::ids::Eui;
use crate::reason::Reason;
use crate::region::Region;
use crate::semtech::{Stat, Version};
use crate::settings::Settings;

/// A packet forwarder.
#[derive(Debug)]
pub(crate) struct Gateway {
    last_seen: Instant,
    path: Option<DownlinkPath>,
    duty: DutyCycle,
    pub(crate) stat: Option<Stat>,
}

/// The address for downlinks, learnt from PULL_DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DownlinkPath {
    pub(crate) to: SocketAddr,
    pub(crate) version: Version,
    at: Instant,
}

/// The state of a forwarder.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayView {
    pub gateway: Eui,
    /// When its last datagram arrived.
    pub last_seen: Instant,
    /// Its address for downlinks; `None` if it does not poll.
    pub path: Option<SocketAddr>,
    /// Its last statistics.
    pub stat: Option<Stat>,
    /// Its use of the duty cycle.
    pub duty_cycle: Vec<DutyCycleUse>,
}

#[derive(Debug)]
pub(crate) struct Gateways {
    known: HashMap<Eui, Gateway, foldhash::fast::RandomState>,
    allowed: Option<HashSet<Eui>>,
    most: usize,
    silent: Duration,
    downlink_path_lifetime: Duration,
    region: Region,
}

impl Gateways {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            known: HashMap::default(),
            allowed: settings.allowed_gateways.clone(),
            most: settings.gateways,
            silent: settings.gateway_silent,
            downlink_path_lifetime: settings.downlink_path_lifetime,
            region: settings.region,
        }
    }

    /// Records a datagram.
    pub(crate) fn record_datagram(&mut self, gateway: Eui, now: Instant) -> Result<&mut Gateway, Reason> {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&gateway)) {
            return Err(Reason::GatewayUnknown);
        }
        if !self.known.contains_key(&gateway) && self.known.len() >= self.most {
            let silent = self.silent;
            self.known.retain(|_, known| now.saturating_duration_since(known.last_seen) < silent);
            if self.known.len() >= self.most {
                return Err(Reason::GatewaysFull);
            }
        }
        let region = self.region;
        let new = || Gateway { last_seen: now, path: None, duty: DutyCycle::new(region, now), stat: None };
        let known = self.known.entry(gateway).or_insert_with(new);
        known.last_seen = now;
        Ok(known)
    }

    /// The downlink address of a forwarder, if it polls and a frame fits into its duty cycle.
    pub(crate) fn path(
        &mut self,
        gateway: Eui,
        frequency: u32,
        airtime: Duration,
        now: Instant,
    ) -> Option<DownlinkPath> {
        let (lives, region) = (self.downlink_path_lifetime, self.region);
        let known = self.known.get_mut(&gateway)?;
        let path = known.path.filter(|path| now.saturating_duration_since(path.at) <= lives)?;
        known.duty.allows(region, frequency, airtime, now).then_some(path)
    }

    /// The forwarders that poll, the most recent first.
    pub(crate) fn listening(&self, now: Instant) -> Vec<Eui> {
        let live =
            |path: &DownlinkPath| now.saturating_duration_since(path.at) <= self.downlink_path_lifetime;
        let paths =
            self.known.iter().filter_map(|(gateway, known)| Some((known.path.filter(live)?.at, *gateway)));
        let mut listening: Vec<_> = paths.collect();
        listening.sort_by(|a, b| b.cmp(a));
        listening.into_iter().map(|(_, gateway)| gateway).collect()
    }

    pub(crate) fn charge(&mut self, gateway: Eui, frequency: u32, airtime: Duration, now: Instant) {
        let region = self.region;
        if let Some(known) = self.known.get_mut(&gateway) {
            known.duty.charge(region, frequency, airtime, now);
        }
    }

    pub(crate) fn refund(&mut self, gateway: Eui, frequency: u32, airtime: Duration, now: Instant) {
        let region = self.region;
        if let Some(known) = self.known.get_mut(&gateway) {
            known.duty.refund(region, frequency, airtime, now);
        }
    }

    /// The state of all forwarders.
    pub(crate) fn views(&mut self, now: Instant) -> Vec<GatewayView> {
        let (lives, region) = (self.downlink_path_lifetime, self.region);
        let view = |(gateway, known): (&Eui, &mut Gateway)| GatewayView {
            gateway: *gateway,
            last_seen: known.last_seen,
            path: known
                .path
                .filter(|path| now.saturating_duration_since(path.at) <= lives)
                .map(|path| path.to),
            stat: known.stat.clone(),
            duty_cycle: known.duty.uses(region, now),
        };
        self.known.iter_mut().map(view).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

impl Gateway {
    /// Records a PULL_DATA.
    pub(crate) fn pull_data_received(&mut self, to: SocketAddr, version: Version, now: Instant) {
        self.path = Some(DownlinkPath { to, version, at: now });
    }
}

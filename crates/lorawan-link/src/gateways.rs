//! The packet forwarders: which are heard, where they are sent to, what they have used of the air.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::duty::{Duty, Use};
use crate::ids::Eui;
use crate::reason::Reason;
use crate::region::Region;
use crate::semtech::{Stat, Version};
use crate::settings::Settings;

/// A packet forwarder.
#[derive(Debug)]
pub(crate) struct Gateway {
    heard: Instant,
    path: Option<Path>,
    duty: Duty,
    pub(crate) stat: Option<Stat>,
}

/// Where a forwarder waits for downlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) to: SocketAddr,
    pub(crate) version: Version,
    at: Instant,
}

/// What is known of a forwarder.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayView {
    /// Its EUI.
    pub gateway: Eui,
    /// When its last datagram came.
    pub heard: Instant,
    /// Where it is sent to; `None` while it does not ask for downlinks.
    pub path: Option<SocketAddr>,
    /// What it said of itself last.
    pub stat: Option<Stat>,
    /// What it has used of the air.
    pub duty_cycle: Vec<Use>,
}

/// All forwarders.
#[derive(Debug)]
pub(crate) struct Gateways {
    known: HashMap<Eui, Gateway, foldhash::fast::RandomState>,
    allowed: Option<HashSet<Eui>>,
    most: usize,
    silent: Duration,
    path_lives: Duration,
    region: Region,
}

impl Gateways {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            known: HashMap::default(),
            allowed: settings.allowed_gateways.clone(),
            most: settings.gateways,
            silent: settings.gateway_silent,
            path_lives: settings.path_lives,
            region: settings.region,
        }
    }

    /// Takes note of a datagram.
    pub(crate) fn heard(&mut self, gateway: Eui, now: Instant) -> Result<&mut Gateway, Reason> {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&gateway)) {
            return Err(Reason::GatewayUnknown);
        }
        if !self.known.contains_key(&gateway) && self.known.len() >= self.most {
            let silent = self.silent;
            self.known.retain(|_, known| now.saturating_duration_since(known.heard) < silent);
            if self.known.len() >= self.most {
                return Err(Reason::GatewaysFull);
            }
        }
        let region = self.region;
        let new = || Gateway { heard: now, path: None, duty: Duty::new(region, now), stat: None };
        let known = self.known.entry(gateway).or_insert_with(new);
        known.heard = now;
        Ok(known)
    }

    /// Where a forwarder may be sent to, if it listens and a frame is within its share of the air.
    pub(crate) fn path(
        &mut self,
        gateway: Eui,
        frequency: u32,
        airtime: Duration,
        now: Instant,
    ) -> Option<Path> {
        let (lives, region) = (self.path_lives, self.region);
        let known = self.known.get_mut(&gateway)?;
        let path = known.path.filter(|path| now.saturating_duration_since(path.at) <= lives)?;
        known.duty.allows(region, frequency, airtime, now).then_some(path)
    }

    /// The forwarders that can be sent to, those first that asked for it last.
    pub(crate) fn listening(&self, now: Instant) -> Vec<Eui> {
        let live = |path: &Path| now.saturating_duration_since(path.at) <= self.path_lives;
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

    /// What is known of all.
    pub(crate) fn views(&mut self, now: Instant) -> Vec<GatewayView> {
        let (lives, region) = (self.path_lives, self.region);
        let view = |(gateway, known): (&Eui, &mut Gateway)| GatewayView {
            gateway: *gateway,
            heard: known.heard,
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
    /// Takes note of a PULL_DATA.
    pub(crate) fn listens(&mut self, to: SocketAddr, version: Version, now: Instant) {
        self.path = Some(Path { to, version, at: now });
    }
}

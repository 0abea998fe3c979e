//! Downlinks: from the queue and from what an uplink asks for, to a forwarder, and what becomes of them there.

use std::time::{Duration, Instant};

use super::{Network, Now};
use crate::airtime::airtime;
use crate::device::Class;
use crate::downlink::{Owed, Queued, Shot, Slot, Window, Wishes, compose};
use crate::gateways::Path;
use crate::ids::Eui;
use crate::mac::{STATUS, link_adr};
use crate::output::{DownlinkId, Failure, Outcome, Output, SendError, Transmission, TransmissionId};
use crate::semtech::{Head, Txpk, When, pull_resp, tx_ack};

/// Forwarders can send no louder, in dBm.
const LOUDEST: i8 = 27;
/// Ports for applications (LoRaWAN 1.0.4, 4.3.2).
const PORTS: std::ops::RangeInclusive<u8> = 1..=223;

/// How long a frame for a device that listens all the time may wait for the host to let it leave.
const PATIENCE: Duration = Duration::from_secs(16);

/// A frame on its way: not yet let go by the host, or with a forwarder that may still refuse it.
#[derive(Debug)]
pub(super) struct Flight {
    id: TransmissionId,
    device: Eui,
    gateway: Eui,
    item: Option<Item>,
    frequency: u32,
    airtime: Duration,
    /// The same frame in the second window.
    again: Option<(Window, Vec<u8>)>,
    /// When a forwarder's silence means that it has sent; `None` while the frame has not left.
    pub(super) due: Option<Instant>,
}

impl Flight {
    /// What its datagram and the forwarder's word on it carry.
    fn token(&self) -> u16 {
        self.id.0 as u16
    }
}

/// A frame on its way to a forwarder.
struct Ready<'a> {
    device: Eui,
    shot: Shot,
    path: Path,
    phy: &'a [u8],
    item: Option<Item>,
    /// The windows behind the uplink, where the second one is left.
    again: Option<Window>,
}

/// A downlink of the host's in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    id: DownlinkId,
    confirmed: bool,
}

impl Network {
    /// Sends to a device: to one of class C at once, to one of class A after its next uplink. What becomes of it comes
    /// out as [`Output::Downlink`].
    ///
    /// # Errors
    /// There is no such device or port, the payload is too long for the region, or too many wait already.
    pub fn send(
        &mut self,
        device: Eui,
        f_port: u8,
        payload: Vec<u8>,
        confirmed: bool,
        now: Now,
    ) -> Result<DownlinkId, SendError> {
        let region = self.settings.region;
        let most = (0..16).map(|number| region.max_payload(number)).max().unwrap_or(0);
        let id = DownlinkId(self.next_serial());
        let known = self.devices.get_mut(&device).ok_or(SendError::UnknownDevice { device })?;
        if !PORTS.contains(&f_port) {
            return Err(SendError::Port { f_port });
        }
        if payload.len() > most {
            return Err(SendError::TooLong { length: payload.len(), most });
        }
        let queued = Queued { id, f_port, payload, confirmed };
        known.queue.push(queued).map_err(|waiting| SendError::QueueFull { device, waiting })?;
        self.flush(device, now);
        Ok(id)
    }

    /// Sends what waits for a device, if it listens now.
    fn flush(&mut self, eui: Eui, now: Now) {
        let Some(device) = self.devices.get(&eui) else { return };
        // A confirmed uplink is answered when it is taken.
        let open = device.window.as_ref().is_some_and(|window| !window.owed.ack);
        if device.config.class == Class::C {
            self.send_at_once(eui, now);
        } else if open {
            self.answer(eui, now);
        }
    }

    /// Class C: the device listens in its second window all the time, near the gateways that heard it last; after a
    /// restart any gateway is as good a guess.
    fn send_at_once(&mut self, eui: Eui, now: Now) {
        let Some(device) = self.devices.get(&eui) else { return };
        let Some(rx) = device.state.session.as_ref().map(|session| session.rx) else { return };
        let heard_by = match device.heard_by.is_empty() {
            true => self.gateways.listening(now.instant),
            false => device.heard_by.clone(),
        };
        let shot = |gateway| Shot {
            gateway,
            when: When::Now,
            frequency: rx.rx2_frequency,
            data_rate: rx.rx2_data_rate,
            until: now.instant + PATIENCE,
        };
        let shots: Vec<_> = heard_by.into_iter().map(shot).collect();
        self.compose_and_fire(eui, &shots, &Owed::default(), None, now);
        if self.devices.get(&eui).is_some_and(|device| device.queue.len() > 0) {
            self.impatient.insert(eui);
        }
    }

    /// A forwarder listens: what found none before is tried again.
    pub(super) fn flush_impatient(&mut self, now: Now) {
        for eui in std::mem::take(&mut self.impatient) {
            self.flush(eui, now);
        }
    }

    /// Answers a device's last uplink in the first window, or in the second where that is too late or the air is full.
    pub(super) fn answer(&mut self, eui: Eui, now: Now) {
        let Some(window) = self.devices.get(&eui).and_then(|device| device.window.clone()) else { return };
        let first = window.shots(Slot::First, &self.settings, now.instant);
        let second = window.shots(Slot::Second, &self.settings, now.instant);
        let rooms = [self.room(&first), self.room(&second)];
        let longest = self.drop_what_is_longer(eui, rooms);
        let [first_room, second_room] = rooms;
        let owed = window.owed;
        let again = if second.is_empty() { None } else { Some(window) };
        let sent = match longest {
            Some(length) if length > first_room && length <= second_room => {
                self.compose_and_fire(eui, &second, &owed, None, now)
                    || self.compose_and_fire(eui, &first, &owed, again, now)
            }
            _ => {
                self.compose_and_fire(eui, &first, &owed, again, now)
                    || self.compose_and_fire(eui, &second, &owed, None, now)
            }
        };
        if sent && let Some(device) = self.devices.get_mut(&eui) {
            device.window = None;
        }
    }

    /// How many bytes a frame may carry there.
    fn room(&self, shots: &[Shot]) -> usize {
        shots.first().map_or(0, |shot| self.settings.region.max_payload(shot.data_rate))
    }

    /// Makes a frame of what there is to say and sends it; whether it did. `again`: the window of which the second half
    /// is left.
    fn compose_and_fire(
        &mut self,
        eui: Eui,
        shots: &[Shot],
        owed: &Owed,
        again: Option<Window>,
        now: Now,
    ) -> bool {
        let room = self.room(shots);
        let wishes = self.wishes(eui, owed, now);
        let Some(device) = self.devices.get(&eui) else { return false };
        let Some(composed) = compose(owed, wishes, &device.queue, room) else { return false };
        // Nothing is used up for a frame that cannot leave.
        let Some((shot, path)) = self.aim(shots, composed.frame.length(), now) else { return false };
        let Some(device) = self.devices.get_mut(&eui) else { return false };
        let item = if composed.takes_item { device.queue.pop() } else { None };
        let item = item.map(|queued| Item { id: queued.id, confirmed: queued.confirmed });
        let encoded = device.state.session.as_mut().and_then(|session| session.encode(composed.frame));
        let Some((phy, store)) = encoded else {
            self.tell_failed(eui, item, Failure::CounterExhausted);
            return false;
        };
        if let Some(choice) = composed.adr {
            device.adr.asked(choice);
        }
        if composed.asks_status {
            device.status_asked = Some(now.instant);
        }
        if store {
            self.store(eui);
        }
        self.fire(Ready { device: eui, shot, path, phy: &phy, item, again }, now);
        true
    }

    /// Sends a frame that is ready in one of a device's windows; whether it did.
    pub(super) fn launch(
        &mut self,
        device: Eui,
        window: &Window,
        slot: Slot,
        phy: &[u8],
        item: Option<Item>,
        now: Now,
    ) -> bool {
        let shots = window.shots(slot, &self.settings, now.instant);
        let Some((shot, path)) = self.aim(&shots, phy.len(), now) else { return false };
        let again = (slot == Slot::First).then(|| window.clone());
        self.fire(Ready { device, shot, path, phy, item, again }, now);
        true
    }

    /// The best gateway that listens and has air time left.
    fn aim(&mut self, shots: &[Shot], length: usize, now: Now) -> Option<(Shot, Path)> {
        let region = self.settings.region;
        shots.iter().find_map(|shot| {
            let airtime = airtime(region.data_rate(shot.data_rate)?, length, false);
            let path = self.gateways.path(shot.gateway, shot.frequency, airtime, now.instant)?;
            Some((*shot, path))
        })
    }

    fn fire(&mut self, ready: Ready<'_>, now: Now) {
        let Ready { device, shot, path, phy, item, again } = ready;
        let region = self.settings.region;
        let Shot { gateway, when, frequency, .. } = shot;
        let Some(data_rate) = region.data_rate(shot.data_rate) else { return };
        let airtime = airtime(data_rate, phy.len(), false);
        self.gateways.charge(gateway, frequency, airtime, now.instant);
        let power = region.max_eirp(frequency).saturating_sub(self.settings.antenna_gain).min(LOUDEST);
        let txpk = Txpk { when, frequency, power, data_rate, data: phy };
        let id = TransmissionId(self.next_serial());
        let again = again.map(|window| (window, phy.to_vec()));
        let flight = Flight { id, device, gateway, item, frequency, airtime, again, due: None };
        let bytes = pull_resp(path.version, flight.token(), &txpk);
        let transmission = Transmission { id, to: path.to, bytes, until: shot.until };
        self.queue.push_back(Output::Transmit(transmission));
        self.flights.push_back(flight);
        if self.flights.len() > self.settings.flights
            && let Some(oldest) = self.flights.pop_front()
        {
            match oldest.due {
                Some(_) => self.landed(&oldest, now),
                None => self.tell_failed(oldest.device, oldest.item, Failure::Withheld),
            }
        }
    }

    /// A frame has left for its forwarder: from now on its silence means that it has sent.
    pub fn left(&mut self, id: TransmissionId, now: Now) {
        let due = now.instant + self.settings.tx_ack_within;
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.id == id) {
            flight.due = Some(due);
        }
    }

    /// A frame has not left and will not: there may be time for the second window.
    pub fn withheld(&mut self, id: TransmissionId, now: Now) {
        let place = self.flights.iter().position(|flight| flight.id == id);
        if let Some(flight) = place.and_then(|place| self.flights.remove(place)) {
            self.rejected(flight, Failure::Withheld, now);
        }
    }

    /// A forwarder says what became of a frame.
    pub(super) fn tx_acknowledged(&mut self, head: &Head, json: &[u8], now: Now) {
        let token = u16::from_be_bytes(head.token);
        let mut flights = self.flights.iter();
        let is_it = |flight: &Flight| {
            flight.due.is_some() && flight.token() == token && flight.gateway == head.gateway
        };
        let Some(place) = flights.position(is_it) else { return };
        let Some(flight) = self.flights.remove(place) else { return };
        match tx_ack(json) {
            Ok(()) => self.landed(&flight, now),
            Err(error) => self.rejected(flight, Failure::Forwarder(error), now),
        }
    }

    /// Frames of which nothing bad was heard for long enough are sent.
    pub(super) fn land_flights(&mut self, now: Now) {
        let over = |flight: &Flight| flight.due.is_some_and(|due| due <= now.instant);
        while let Some(place) = self.flights.iter().position(over)
            && let Some(flight) = self.flights.remove(place)
        {
            self.landed(&flight, now);
        }
    }

    /// The device confirms what its forwarder has not spoken of yet: so it was sent.
    pub(super) fn land_what_is_confirmed(&mut self, device: Eui, now: Now) {
        let confirmed = |flight: &Flight| {
            flight.device == device && flight.due.is_some() && flight.item.is_some_and(|item| item.confirmed)
        };
        if let Some(place) = self.flights.iter().position(confirmed)
            && let Some(flight) = self.flights.remove(place)
        {
            self.landed(&flight, now);
        }
    }

    fn landed(&mut self, flight: &Flight, now: Now) {
        let Some(item) = flight.item else { return };
        let device = flight.device;
        self.queue.push_back(Output::Downlink { device, id: item.id, outcome: Outcome::Sent });
        let Some(known) = self.devices.get_mut(&device) else { return };
        if item.confirmed
            && let Some(id) = known.unconfirmed.replace(item.id)
        {
            let outcome = Outcome::Failed(Failure::NotAcknowledged);
            self.queue.push_back(Output::Downlink { device, id, outcome });
        }
        if known.config.class == Class::C && known.queue.len() > 0 {
            self.flush(device, now);
        }
    }

    /// A frame is not sent: there may be time for the second window.
    fn rejected(&mut self, flight: Flight, failure: Failure, now: Now) {
        self.gateways.refund(flight.gateway, flight.frequency, flight.airtime, now.instant);
        let Flight { device, item, again, .. } = flight;
        let region = self.settings.region;
        if let Some((window, phy)) = again {
            // 12 bytes around FOpts and payload, and the port.
            let fits = phy.len() <= region.max_payload(window.rx.rx2_data_rate) + 13;
            if fits && self.launch(device, &window, Slot::Second, &phy, item, now) {
                return;
            }
        }
        self.tell_failed(device, item, failure);
    }

    fn tell_failed(&mut self, device: Eui, item: Option<Item>, failure: Failure) {
        if let Some(Item { id, .. }) = item {
            self.queue.push_back(Output::Downlink { device, id, outcome: Outcome::Failed(failure) });
        }
    }

    /// What a device might be told besides.
    fn wishes(&mut self, eui: Eui, owed: &Owed, now: Now) -> Wishes {
        let settings = &self.settings;
        let Some(device) = self.devices.get_mut(&eui) else { return Wishes::default() };
        let Some(session) = &device.state.session else { return Wishes::default() };
        let region = settings.region;
        let choice =
            if settings.adr && owed.adr { device.adr.choose(region, session.tx_power) } else { None };
        let channels = region.adr_channels(settings.sub_band);
        let adr = choice.map(|choice| (choice, link_adr(choice.data_rate, choice.power, channels)));
        let due = |every: Duration| {
            device.status_asked.is_none_or(|asked| now.instant.saturating_duration_since(asked) >= every)
        };
        Wishes { adr, status: settings.status_every.is_some_and(due).then_some(STATUS) }
    }

    /// A payload that is too long for both windows would hold up all behind it. The length of the first that stays.
    fn drop_what_is_longer(&mut self, eui: Eui, rooms: [usize; 2]) -> Option<usize> {
        let [first, second] = rooms;
        let room = first.max(second);
        let device = self.devices.get_mut(&eui)?;
        // Without a window there is no saying what is too long.
        while room > 0 && device.queue.front().is_some_and(|item| item.payload.len() > room) {
            let Some(Queued { id, .. }) = device.queue.pop() else { break };
            let outcome = Outcome::Failed(Failure::TooLong);
            self.queue.push_back(Output::Downlink { device: eui, id, outcome });
        }
        device.queue.front().map(|item| item.payload.len())
    }
}

//! Sends downlinks, from the queue and as answers to uplinks, and tracks what the forwarders report about them.

use std::time::{Duration, Instant};

use super::{Network, Now};
use crate::airtime::airtime;
use crate::device::Class;
use crate::downlink::{DownlinkSlot, OptionalCommands, Queued, RequestedAnswer, RxWindow, Window, compose};
use crate::gateways::DownlinkPath;
use crate::ids::Eui;
use crate::mac::{STATUS, link_adr};
use crate::output::{DownlinkId, Failure, Outcome, Output, SendError, Transmission, TransmissionId};
use crate::semtech::{Head, Txpk, When, pull_resp, tx_ack};

/// The highest power of forwarders, in dBm.
const MAX_POWER: i8 = 27;
/// Ports for applications (LoRaWAN 1.0.4, 4.3.2).
const APPLICATION_PORTS: std::ops::RangeInclusive<u8> = 1..=223;

/// How long a frame for a class C device may wait for the host to send it.
const CLASS_C_DEADLINE: Duration = Duration::from_secs(16);

/// A transmission that the host has not sent yet, or that the forwarder may still reject.
#[derive(Debug)]
pub(super) struct PendingTransmission {
    id: TransmissionId,
    device: Eui,
    gateway: Eui,
    item: Option<Item>,
    frequency: u32,
    airtime: Duration,
    /// The same frame for RX2.
    again: Option<(Window, Vec<u8>)>,
    /// After this time without a report the frame counts as sent; `None` until the host has sent it.
    pub(super) due: Option<Instant>,
}

impl PendingTransmission {
    /// The token of the datagram and of the forwarder's report.
    fn token(&self) -> u16 {
        self.id.0 as u16
    }
}

/// A frame ready to be sent to a forwarder.
struct ReadyFrame<'a> {
    device: Eui,
    slot: DownlinkSlot,
    path: DownlinkPath,
    phy: &'a [u8],
    item: Option<Item>,
    /// The windows, if RX2 is still possible.
    again: Option<Window>,
}

/// The queued downlink in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    id: DownlinkId,
    confirmed: bool,
}

impl Network {
    /// Queues a downlink: for class C it is sent at once, for class A after the next uplink. [`Output::Downlink`] reports the
    /// result.
    ///
    /// # Errors
    /// If there is no such device or port, the payload is too long for the region, or the queue is full.
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
        if !APPLICATION_PORTS.contains(&f_port) {
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

    /// Sends queued downlinks, if the device listens now.
    fn flush(&mut self, eui: Eui, now: Now) {
        let Some(device) = self.devices.get(&eui) else { return };
        // A confirmed uplink is answered after it is accepted.
        let open = device.window.as_ref().is_some_and(|window| !window.requested.ack);
        if device.config.class == Class::C {
            self.send_at_once(eui, now);
        } else if open {
            self.answer(eui, now);
        }
    }

    /// Class C: the device always listens in RX2, near the gateways that received it last. After a restart any gateway is
    /// tried.
    fn send_at_once(&mut self, eui: Eui, now: Now) {
        let Some(device) = self.devices.get(&eui) else { return };
        let Some(rx) = device.state.session.as_ref().map(|session| session.rx) else { return };
        let received_by = match device.received_by.is_empty() {
            true => self.gateways.listening(now.instant),
            false => device.received_by.clone(),
        };
        let slot = |gateway| DownlinkSlot {
            gateway,
            when: When::Now,
            frequency: rx.rx2_frequency,
            data_rate: rx.rx2_data_rate,
            until: now.instant + CLASS_C_DEADLINE,
        };
        let slots: Vec<_> = received_by.into_iter().map(slot).collect();
        self.compose_and_transmit(eui, &slots, &RequestedAnswer::default(), None, now);
        if self.devices.get(&eui).is_some_and(|device| device.queue.len() > 0) {
            self.deferred.insert(eui);
        }
    }

    /// A forwarder has started polling: retries deferred downlinks.
    pub(super) fn flush_deferred(&mut self, now: Now) {
        for eui in std::mem::take(&mut self.deferred) {
            self.flush(eui, now);
        }
    }

    /// Answers the last uplink in RX1, or in RX2 if RX1 is too soon or the duty cycle is used up.
    pub(super) fn answer(&mut self, eui: Eui, now: Now) {
        let Some(window) = self.devices.get(&eui).and_then(|device| device.window.clone()) else { return };
        let first = window.slots(RxWindow::First, &self.settings, now.instant);
        let second = window.slots(RxWindow::Second, &self.settings, now.instant);
        let rooms = [self.room(&first), self.room(&second)];
        let longest = self.drop_oversized(eui, rooms);
        let [first_room, second_room] = rooms;
        let requested = window.requested;
        let again = if second.is_empty() { None } else { Some(window) };
        let sent = match longest {
            Some(length) if length > first_room && length <= second_room => {
                self.compose_and_transmit(eui, &second, &requested, None, now)
                    || self.compose_and_transmit(eui, &first, &requested, again, now)
            }
            _ => {
                self.compose_and_transmit(eui, &first, &requested, again, now)
                    || self.compose_and_transmit(eui, &second, &requested, None, now)
            }
        };
        if sent && let Some(device) = self.devices.get_mut(&eui) {
            device.window = None;
        }
    }

    /// The maximum payload in the slot.
    fn room(&self, slots: &[DownlinkSlot]) -> usize {
        slots.first().map_or(0, |slot| self.settings.region.max_payload(slot.data_rate))
    }

    /// Builds and sends a frame; returns whether one was sent. `again`: the windows, if RX2 is still possible.
    fn compose_and_transmit(
        &mut self,
        eui: Eui,
        slots: &[DownlinkSlot],
        requested: &RequestedAnswer,
        again: Option<Window>,
        now: Now,
    ) -> bool {
        let room = self.room(slots);
        let optional_commands = self.optional_commands(eui, requested, now);
        let Some(device) = self.devices.get(&eui) else { return false };
        let Some(composed) = compose(requested, optional_commands, &device.queue, room) else { return false };
        // No counter is used up for a frame that cannot be sent.
        let Some((slot, path)) = self.choose_gateway(slots, composed.frame.length(), now) else {
            return false;
        };
        let Some(device) = self.devices.get_mut(&eui) else { return false };
        let item = if composed.takes_item { device.queue.pop() } else { None };
        let item = item.map(|queued| Item { id: queued.id, confirmed: queued.confirmed });
        let encoded = device.state.session.as_mut().and_then(|session| session.encode(composed.frame));
        let Some((phy, store)) = encoded else {
            self.report_failed(eui, item, Failure::CounterExhausted);
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
        self.transmit(ReadyFrame { device: eui, slot, path, phy: &phy, item, again }, now);
        true
    }

    /// Sends a finished frame in a window; returns whether it was sent.
    pub(super) fn send_in_window(
        &mut self,
        device: Eui,
        window: &Window,
        rx_window: RxWindow,
        phy: &[u8],
        item: Option<Item>,
        now: Now,
    ) -> bool {
        let slots = window.slots(rx_window, &self.settings, now.instant);
        let Some((slot, path)) = self.choose_gateway(&slots, phy.len(), now) else { return false };
        let again = (rx_window == RxWindow::First).then(|| window.clone());
        self.transmit(ReadyFrame { device, slot, path, phy, item, again }, now);
        true
    }

    /// The best gateway that polls and has time on air left.
    fn choose_gateway(
        &mut self,
        slots: &[DownlinkSlot],
        length: usize,
        now: Now,
    ) -> Option<(DownlinkSlot, DownlinkPath)> {
        let region = self.settings.region;
        slots.iter().find_map(|slot| {
            let airtime = airtime(region.data_rate(slot.data_rate)?, length, false);
            let path = self.gateways.path(slot.gateway, slot.frequency, airtime, now.instant)?;
            Some((*slot, path))
        })
    }

    fn transmit(&mut self, ready: ReadyFrame<'_>, now: Now) {
        let ReadyFrame { device, slot, path, phy, item, again } = ready;
        let region = self.settings.region;
        let DownlinkSlot { gateway, when, frequency, .. } = slot;
        let Some(data_rate) = region.data_rate(slot.data_rate) else { return };
        let airtime = airtime(data_rate, phy.len(), false);
        self.gateways.charge(gateway, frequency, airtime, now.instant);
        let power = region.max_eirp(frequency).saturating_sub(self.settings.antenna_gain).min(MAX_POWER);
        let txpk = Txpk { when, frequency, power, data_rate, data: phy };
        let id = TransmissionId(self.next_serial());
        let again = again.map(|window| (window, phy.to_vec()));
        let flight = PendingTransmission { id, device, gateway, item, frequency, airtime, again, due: None };
        let bytes = pull_resp(path.version, flight.token(), &txpk);
        let transmission = Transmission { id, to: path.to, bytes, until: slot.until };
        self.queue.push_back(Output::Transmit(transmission));
        self.transmissions.push_back(flight);
        if self.transmissions.len() > self.settings.transmissions
            && let Some(oldest) = self.transmissions.pop_front()
        {
            match oldest.due {
                Some(_) => self.transmission_done(&oldest, now),
                None => self.report_failed(oldest.device, oldest.item, Failure::Withheld),
            }
        }
    }

    /// The host has sent a transmission: from now on the forwarder's silence means success.
    pub fn transmission_sent(&mut self, id: TransmissionId, now: Now) {
        let due = now.instant + self.settings.tx_ack_within;
        if let Some(flight) = self.transmissions.iter_mut().find(|flight| flight.id == id) {
            flight.due = Some(due);
        }
    }

    /// The host will not send a transmission; RX2 may still be possible.
    pub fn transmission_cancelled(&mut self, id: TransmissionId, now: Now) {
        let place = self.transmissions.iter().position(|flight| flight.id == id);
        if let Some(flight) = place.and_then(|place| self.transmissions.remove(place)) {
            self.rejected(flight, Failure::Withheld, now);
        }
    }

    /// Handles a TX_ACK.
    pub(super) fn tx_acknowledged(&mut self, head: &Head, json: &[u8], now: Now) {
        let token = u16::from_be_bytes(head.token);
        let mut transmissions = self.transmissions.iter();
        let is_it = |flight: &PendingTransmission| {
            flight.due.is_some() && flight.token() == token && flight.gateway == head.gateway
        };
        let Some(place) = transmissions.position(is_it) else { return };
        let Some(flight) = self.transmissions.remove(place) else { return };
        match tx_ack(json) {
            Ok(()) => self.transmission_done(&flight, now),
            Err(error) => self.rejected(flight, Failure::Forwarder(error), now),
        }
    }

    /// Treats frames as sent if no error was reported for long enough.
    pub(super) fn complete_transmissions(&mut self, now: Now) {
        let over = |flight: &PendingTransmission| flight.due.is_some_and(|due| due <= now.instant);
        while let Some(place) = self.transmissions.iter().position(over)
            && let Some(flight) = self.transmissions.remove(place)
        {
            self.transmission_done(&flight, now);
        }
    }

    /// The device has acknowledged a downlink that its forwarder has not reported yet: it was sent.
    pub(super) fn complete_confirmed_transmissions(&mut self, device: Eui, now: Now) {
        let confirmed = |flight: &PendingTransmission| {
            flight.device == device && flight.due.is_some() && flight.item.is_some_and(|item| item.confirmed)
        };
        if let Some(place) = self.transmissions.iter().position(confirmed)
            && let Some(flight) = self.transmissions.remove(place)
        {
            self.transmission_done(&flight, now);
        }
    }

    fn transmission_done(&mut self, flight: &PendingTransmission, now: Now) {
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

    /// A frame was not sent; RX2 may still be possible.
    fn rejected(&mut self, flight: PendingTransmission, failure: Failure, now: Now) {
        self.gateways.refund(flight.gateway, flight.frequency, flight.airtime, now.instant);
        let PendingTransmission { device, item, again, .. } = flight;
        let region = self.settings.region;
        if let Some((window, phy)) = again {
            // 12 bytes besides FOpts and payload, and the port.
            let fits = phy.len() <= region.max_payload(window.rx.rx2_data_rate) + 13;
            if fits && self.send_in_window(device, &window, RxWindow::Second, &phy, item, now) {
                return;
            }
        }
        self.report_failed(device, item, failure);
    }

    fn report_failed(&mut self, device: Eui, item: Option<Item>, failure: Failure) {
        if let Some(Item { id, .. }) = item {
            self.queue.push_back(Output::Downlink { device, id, outcome: Outcome::Failed(failure) });
        }
    }

    /// The MAC commands that could be added.
    fn optional_commands(&mut self, eui: Eui, requested: &RequestedAnswer, now: Now) -> OptionalCommands {
        let settings = &self.settings;
        let Some(device) = self.devices.get_mut(&eui) else { return OptionalCommands::default() };
        let Some(session) = &device.state.session else { return OptionalCommands::default() };
        let region = settings.region;
        let choice =
            if settings.adr && requested.adr { device.adr.choose(region, session.tx_power) } else { None };
        let channels = region.adr_channels(settings.sub_band);
        let adr = choice.map(|choice| (choice, link_adr(choice.data_rate, choice.power, channels)));
        let due = |every: Duration| {
            device.status_asked.is_none_or(|asked| now.instant.saturating_duration_since(asked) >= every)
        };
        OptionalCommands { adr, status: settings.status_every.is_some_and(due).then_some(STATUS) }
    }

    /// Drops payloads too long for both windows, which would block the queue. Returns the length of the first that stays.
    fn drop_oversized(&mut self, eui: Eui, rooms: [usize; 2]) -> Option<usize> {
        let [first, second] = rooms;
        let room = first.max(second);
        let device = self.devices.get_mut(&eui)?;
        // Without a window the limit is unknown.
        while room > 0 && device.queue.front().is_some_and(|item| item.payload.len() > room) {
            let Some(Queued { id, .. }) = device.queue.pop() else { break };
            let outcome = Outcome::Failed(Failure::TooLong);
            self.queue.push_back(Output::Downlink { device: eui, id, outcome });
        }
        device.queue.front().map(|item| item.payload.len())
    }
}

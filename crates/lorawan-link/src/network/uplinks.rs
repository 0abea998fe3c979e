//! Handles PUSH_DATA: each frame is verified when its first copy arrives, and reported when the time for further copies is
//! over.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Network, Now};
use crate::airtime::airtime;
use crate::data_rate::DataRate;
use crate::device::{Device, ReportedUplink, SessionSlot};
use crate::downlink::{ReceivedBy, RequestedAnswer, Window};
use crate::frame::{DataUp, Frame};
use crate::ids::{DevAddr, Eui};
use crate::mac::{ReceivedCommands, device_time, link_check, read};
use crate::output::{Claimed, Data, Failure, Outcome, Output, Receiver, Uplink, UplinkToken};
use crate::reason::Reason;
use crate::semtech::{Crc, Rxpk, push};
use crate::session::Verdict;

/// A copy within this time comes from a slow forwarder: a device that expects an answer does not repeat a frame before RX2,
/// two seconds later.
const SLOW_COPY: Duration = Duration::from_secs(1);

/// A copy from another forwarder within this time was delayed on its link.
const LATE_COPY: Duration = Duration::from_secs(10);

/// The sender of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) from: SocketAddr,
    pub(super) gateway: Eui,
}

/// A frame with a valid MIC.
#[derive(Debug)]
pub(super) enum Accepted {
    Join { device: Eui, dev_nonce: u16, origin: Origin, received_at: Instant },
    Data(AcceptedData),
}

#[derive(Debug)]
pub(super) struct AcceptedData {
    device: Eui,
    address: DevAddr,
    f_cnt: u32,
    /// It was accepted before.
    repeated: bool,
    /// The device has given up a frame that the host rejected.
    one_given_up: bool,
    confirmed: bool,
    adr: bool,
    adr_ack_req: bool,
    lost: u32,
    data: Option<Data>,
    said: ReceivedCommands,
    length: usize,
    received_at: Now,
}

impl Network {
    pub(super) fn pushed(&mut self, origin: Origin, json: &[u8], now: Now) {
        let push = match push(json) {
            Ok(push) => push,
            Err(reason) => return self.refuse(reason, origin.from, Some(origin.gateway), None),
        };
        if let (Some(stat), Ok(gateway)) =
            (push.stat, self.gateways.record_datagram(origin.gateway, now.instant))
        {
            gateway.stat = Some(stat);
        }
        for frame in push.frames {
            let result =
                frame.map_err(|reason| (reason, None)).and_then(|rxpk| self.receive_frame(origin, rxpk, now));
            if let Err((reason, claimed)) = result {
                self.refuse(reason, origin.from, Some(origin.gateway), claimed);
            }
            self.close_held(now);
        }
    }

    fn receive_frame(
        &mut self,
        origin: Origin,
        rxpk: Rxpk,
        now: Now,
    ) -> Result<(), (Reason, Option<Claimed>)> {
        match rxpk.crc {
            Crc::Failed => return Err((Reason::CrcFailed, None)),
            Crc::Missing if !self.settings.accept_missing_crc => return Err((Reason::CrcMissing, None)),
            Crc::Missing | Crc::Ok => {}
        }
        let (receiver, phy) = Receiver::split(origin.gateway, rxpk);
        let Err(receiver) = self.held.add(&phy, receiver) else { return Ok(()) };
        let accepted = match Frame::parse(&phy).map_err(|reason| (reason, None))? {
            Frame::JoinRequest(request) => {
                let claimed = Some(Claimed::Device(request.dev_eui));
                self.join_requested(&request, origin, now).map_err(|reason| (reason, claimed))?
            }
            Frame::Data(frame) => {
                let claimed = Some(Claimed::Address(frame.address));
                let judged = self.judge(&frame, phy.len(), origin.gateway, now);
                let accepted = judged.map_err(|reason| (reason, claimed))?;
                if accepted.repeated {
                    self.refuse(Reason::Repeated, origin.from, Some(origin.gateway), claimed);
                }
                Accepted::Data(accepted)
            }
        };
        self.held.hold(&phy, receiver, accepted, now.instant);
        Ok(())
    }

    /// Finds the sender. Several devices may share an address: the MIC decides.
    fn judge(
        &mut self,
        frame: &DataUp<'_>,
        length: usize,
        gateway: Eui,
        now: Now,
    ) -> Result<AcceptedData, Reason> {
        let sharing = self.addresses.get(&frame.address).ok_or(Reason::AddressUnknown)?;
        let mut refused = Reason::Mic;
        for eui in sharing {
            let Some(device) = self.devices.get(eui) else { continue };
            for which in [SessionSlot::Current, SessionSlot::Offered] {
                let Some(session) = device.session(which).filter(|session| session.address == frame.address)
                else {
                    continue;
                };
                match session.judge(frame, self.settings.max_fcnt_gap, device.resets()) {
                    Verdict::Refused(Reason::Mic) => {}
                    Verdict::Refused(reason) => refused = reason,
                    _ if device.is_locked() => refused = Reason::CountersLost,
                    verdict => {
                        let eui = *eui;
                        if matches!(verdict, Verdict::Repeated { .. })
                            && self.is_late_copy(eui, frame.confirmed, gateway, now)
                        {
                            return Err(Reason::LateCopy);
                        }
                        return self.accept(eui, which, frame, verdict, length, now);
                    }
                }
            }
        }
        Err(refused)
    }

    /// Whether a repetition of the last frame comes from a slow forwarder rather than from the device.
    fn is_late_copy(&self, eui: Eui, confirmed: bool, gateway: Eui, now: Now) -> bool {
        let Some(device) = self.devices.get(&eui) else { return false };
        let Some(reported) = device.reported.filter(|reported| !reported.rejected) else { return false };
        let age = now.instant.saturating_duration_since(reported.first_received_at);
        !device.received_by.contains(&gateway) && age < if confirmed { SLOW_COPY } else { LATE_COPY }
    }

    /// Accepts the frame of a device and moves its counters.
    fn accept(
        &mut self,
        eui: Eui,
        which: SessionSlot,
        frame: &DataUp<'_>,
        verdict: Verdict,
        length: usize,
        now: Now,
    ) -> Result<AcceptedData, Reason> {
        let reported = self.devices.get(&eui).and_then(|device| device.reported);
        let rejected = reported.is_some_and(|reported| reported.rejected);
        let slow = reported.is_some_and(|reported| {
            now.instant.saturating_duration_since(reported.first_received_at) < SLOW_COPY
        });
        if which == SessionSlot::Offered {
            self.use_offered(eui, frame.address);
        }
        if frame.ack && !matches!(verdict, Verdict::Repeated { .. }) {
            self.complete_confirmed_transmissions(eui, now);
        }
        let device = self.devices.get_mut(&eui).ok_or(Reason::DeviceUnknown)?;
        let session = device.state.session.as_mut().ok_or(Reason::DeviceUnknown)?;
        let (f_cnt, lost, repeated) = match verdict {
            Verdict::New { f_cnt, lost } => (f_cnt, lost, false),
            Verdict::Reset { f_cnt } => {
                session.reset();
                (f_cnt, 0, false)
            }
            Verdict::Repeated { f_cnt } if frame.confirmed && (rejected || !slow) => (f_cnt, 0, true),
            Verdict::Repeated { .. } => return Err(Reason::Replay),
            Verdict::Refused(reason) => return Err(reason),
        };
        if !repeated {
            session.accept(f_cnt, frame.mic);
            device.reported = device.reported.map(|reported| ReportedUplink { rejected: false, ..reported });
        }
        let key = if frame.f_port == Some(0) { &session.nwk_s_key } else { &session.app_s_key };
        let payload = frame.decrypt(key, f_cnt);
        let (data, said) = match frame.f_port {
            Some(0) => (None, read(&payload)),
            Some(f_port) => (Some(Data { f_port, payload }), read(frame.f_opts)),
            None => (None, read(frame.f_opts)),
        };
        if !repeated && let Some(id) = device.unconfirmed.take() {
            let outcome = match frame.ack {
                true => Outcome::Acknowledged,
                false => Outcome::Failed(Failure::NotAcknowledged),
            };
            self.queue.push_back(Output::Downlink { device: eui, id, outcome });
        }
        Ok(AcceptedData {
            device: eui,
            address: frame.address,
            f_cnt,
            repeated,
            one_given_up: rejected && !repeated,
            confirmed: frame.confirmed,
            adr: frame.adr,
            adr_ack_req: frame.adr_ack_req,
            lost,
            data,
            said,
            length,
            received_at: now,
        })
    }

    fn use_offered(&mut self, eui: Eui, address: DevAddr) {
        let Some(device) = self.devices.get_mut(&eui) else { return };
        let before = device.state.session.as_ref().map(|session| session.address);
        device.promote();
        if let Some(before) = before.filter(|before| *before != address) {
            self.forget_address(before, eui);
        }
        self.queue.push_back(Output::Joined { device: eui, address });
    }

    /// Reports the frames whose time for further copies is over.
    pub(super) fn close_held(&mut self, now: Now) {
        while let Some((accepted, receivers)) = self.held.next(now.instant) {
            match accepted {
                Accepted::Join { device, dev_nonce, origin, received_at } => {
                    if let Err(reason) = self.offer(device, dev_nonce, &receivers, received_at) {
                        self.refuse(reason, origin.from, Some(origin.gateway), Some(Claimed::Device(device)));
                    }
                }
                Accepted::Data(data) => self.report(data, receivers, now),
            }
        }
    }

    fn report(&mut self, accepted: AcceptedData, receivers: Vec<Receiver>, now: Now) {
        let serial = self.next_serial();
        let time = time(&receivers, accepted.received_at.wall, self.settings.time_within);
        let eui = accepted.device;
        let region = self.settings.region;
        let Some(device) = self.devices.get_mut(&eui) else { return };
        let Some(best) = receivers.first() else { return };
        let data_rate = best.data_rate;
        device.received_by = receivers.iter().map(|receiver| receiver.gateway).collect();
        // With another address it has joined again meanwhile: reported, but its windows are not used.
        let session = device.state.session.as_mut().filter(|session| session.address == accepted.address);
        let mut taken = false;
        if let Some(session) = session {
            if !accepted.repeated {
                if let Some(number) = region.uplink_number(data_rate) {
                    device.adr.record(number, best.snr);
                }
                if let Some(power) = accepted.said.adr.and_then(|done| device.adr.answered(done)) {
                    session.tx_power = power;
                }
            }
            device.window = Some(Window {
                received_by: receivers.iter().map(ReceivedBy::from).collect(),
                received_at: accepted.received_at.instant,
                delay: Duration::from_secs(session.rx.delay.max(1).into()),
                rx: session.rx,
                requested: requested(&accepted, best, receivers.len(), time),
            });
            taken = session.last_up.is_some_and(|last| last.taken);
        }
        if accepted.repeated && (taken || is_reported(device, accepted.f_cnt)) {
            // Reported before: acknowledged now, or after the host has accepted it.
            if taken {
                self.answer(eui, now);
            }
            return;
        }
        let (confirmed, first_received_at) = (accepted.confirmed, accepted.received_at.instant);
        device.reported = Some(ReportedUplink {
            serial,
            f_cnt: accepted.f_cnt,
            first_received_at,
            confirmed,
            rejected: false,
        });
        self.queue.push_back(Output::Uplink(Box::new(Uplink {
            token: UplinkToken { device: eui, serial },
            device: eui,
            address: accepted.address,
            f_cnt: accepted.f_cnt,
            confirmed,
            data: accepted.data,
            frames_lost: accepted.lost,
            again: accepted.repeated,
            one_given_up: accepted.one_given_up,
            time,
            airtime: airtime(data_rate, accepted.length, true),
            receivers,
            status: accepted.said.status,
        })));
        self.store(eui);
        if !confirmed {
            self.answer(eui, now);
        }
    }

    /// The host has rejected an uplink. Returns whether it may be repeated: a confirmed uplink is reported again when its
    /// device repeats it, or as [`given up`](Uplink::one_given_up) with the next frame; an unconfirmed one is lost.
    #[must_use]
    pub fn uplink_rejected(&mut self, token: UplinkToken) -> bool {
        let reported = self.devices.get_mut(&token.device).and_then(|device| device.reported.as_mut());
        let Some(reported) =
            reported.filter(|reported| reported.serial == token.serial && reported.confirmed)
        else {
            return false;
        };
        reported.rejected = true;
        true
    }

    /// The host has stored an uplink. If its device expects an acknowledgement, it is sent.
    pub fn uplink_accepted(&mut self, token: UplinkToken, now: Now) {
        let Some(device) = self.devices.get_mut(&token.device) else { return };
        let Some(reported) = device.reported.filter(|reported| reported.serial == token.serial) else {
            return;
        };
        let Some(session) = &mut device.state.session else { return };
        let Some(last) = session.last_up.as_mut().filter(|last| last.f_cnt == reported.f_cnt && !last.taken)
        else {
            return;
        };
        last.taken = true;
        if device.window.as_ref().is_some_and(|window| window.requested.ack) {
            self.store(token.device);
            self.answer(token.device, now);
        }
    }
}

fn is_reported(device: &Device, f_cnt: u32) -> bool {
    device.reported.is_some_and(|reported| reported.f_cnt == f_cnt && !reported.rejected)
}

fn requested(accepted: &AcceptedData, best: &Receiver, gateways: usize, time: Timestamp) -> RequestedAnswer {
    let margin = best.snr.unwrap_or(0.0) - DataRate::required_snr(best.data_rate).unwrap_or(0.0);
    RequestedAnswer {
        ack: accepted.confirmed,
        wants_downlink: accepted.adr_ack_req,
        adr: accepted.adr,
        link_check: accepted.said.link_check.then(|| link_check(margin, gateways)),
        device_time: accepted.said.device_time.then(|| device_time(time)),
    }
}

/// The first forwarder's time that is near ours, otherwise ours.
fn time(receivers: &[Receiver], ours: Timestamp, within: Duration) -> Timestamp {
    let near = |time: &Timestamp| time.duration_since(ours).unsigned_abs() <= within;
    receivers.iter().filter_map(|receiver| receiver.time).find(near).unwrap_or(ours)
}

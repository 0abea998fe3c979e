//! Handles join requests up to the accept: see [`join`](crate::join).

use std::time::Instant;

use super::uplinks::{Accepted, Origin};
use super::{Network, Now};
use crate::device::Activation;
use crate::downlink::{ReceivedBy, RequestedAnswer, RxWindow, Window};
use crate::frame::JoinRequest;
use crate::ids::Eui;
use crate::join::{JoinParameters, Joining, accept, check};
use crate::output::{Receiver, StoreToken};
use crate::reason::Reason;
use crate::region::JOIN_ACCEPT_DELAY;
use crate::session::RxParameters;

impl Network {
    pub(super) fn join_requested(
        &mut self,
        request: &JoinRequest<'_>,
        origin: Origin,
        now: Now,
    ) -> Result<Accepted, Reason> {
        let device = self.devices.get_mut(&request.dev_eui).ok_or(Reason::DeviceUnknown)?;
        let Activation::Otaa(otaa) = &device.config.activation else { return Err(Reason::JoinEui) };
        check(request, otaa, &mut device.state)?;
        Ok(Accepted::Join {
            device: request.dev_eui,
            dev_nonce: request.dev_nonce,
            origin,
            received_at: now.instant,
        })
    }

    /// Creates a session and has it stored.
    pub(super) fn offer(
        &mut self,
        eui: Eui,
        dev_nonce: u16,
        receivers: &[Receiver],
        received_at: Instant,
    ) -> Result<(), Reason> {
        let address = self.unused_address().ok_or(Reason::JoinExhausted)?;
        let settings = &self.settings;
        let (net_id, rx) = (settings.net_id, settings.rx);
        let terms =
            JoinParameters { net_id, address, rx, cf_list: settings.region.cf_list(settings.sub_band) };
        let device = self.devices.get_mut(&eui).ok_or(Reason::DeviceUnknown)?;
        let Activation::Otaa(otaa) = &device.config.activation else { return Err(Reason::JoinEui) };
        let before = device.state.offered.as_ref().map(|session| session.address);
        let accept = accept(otaa, &mut device.state, dev_nonce, terms).ok_or(Reason::JoinExhausted)?;
        // Until the device has its parameters, it uses the region's defaults.
        let rx = RxParameters::of(settings.region);
        let received_by = receivers.iter().map(ReceivedBy::from).collect();
        let window = Window {
            received_by,
            received_at,
            delay: JOIN_ACCEPT_DELAY,
            rx,
            requested: RequestedAnswer::default(),
        };
        if let Some(before) = before {
            self.forget_address(before, eui);
        }
        self.addresses.entry(address).or_default().push(eui);
        let serial = self.store(eui);
        if let Some(device) = self.devices.get_mut(&eui) {
            device.joining = Some(Joining { serial, window, accept });
        }
        Ok(())
    }

    /// The host has stored a device's state. If that was for a join, the accept is sent.
    pub fn state_stored(&mut self, token: StoreToken, now: Now) {
        let Some(device) = self.devices.get_mut(&token.device) else { return };
        let Some(joining) = device.joining.take_if(|joining| joining.serial == token.serial) else { return };
        let Joining { window, accept, .. } = joining;
        let _ = self.send_in_window(token.device, &window, RxWindow::First, &accept, None, now)
            || self.send_in_window(token.device, &window, RxWindow::Second, &accept, None, now);
    }
}

//! Connects to a device before a request: looks its name up, and opens a DTLS session for `coaps://`. A device that cannot
//! be reached fails only its own requests.

use std::net::SocketAddr;
use std::time::Instant;

use coap_link::Peer;

use super::super::lookup::Found;
use super::super::sessions::SessionState;
use super::super::url::CoapUrl;
use super::{Driver, Requester};

impl Driver<'_> {
    pub(super) fn found(&mut self, Found { requester, url, addresses }: Found, now: Instant) {
        let address = addresses.and_then(|addresses| self.choose(requester, &url, &addresses));
        let address = match address {
            Ok(address) => address,
            Err(reason) => return self.unreachable(requester, reason, now),
        };
        if !url.is_secured() {
            return self.connected(requester, &Peer::unsecured(address), now);
        }
        let Some((identity, credentials)) = self.servers.of(&url) else {
            let reason = format!("there is no identity and key for {}; write it into `servers`", url.host());
            return self.unreachable(requester, reason, now);
        };
        match self.sessions.get_or_connect(address, identity, credentials, now) {
            SessionState::Open(peer) => self.connected(requester, &peer, now),
            SessionState::Opening(peer) => self.waiting.entry(peer.address).or_default().push(requester),
            SessionState::OtherIdentity(other) => {
                let reason = format!("{address} has a session with Riser as {other} already");
                self.unreachable(requester, reason, now);
            }
        }
    }

    /// The first address; after each failure the next.
    fn choose(
        &self,
        requester: Requester,
        url: &CoapUrl,
        addresses: &[SocketAddr],
    ) -> Result<SocketAddr, String> {
        let usable: Vec<_> = addresses.iter().filter(|address| self.sockets.reaches(**address)).collect();
        let attempts = match requester {
            Requester::Observed(index) => self.following.get(index).map_or(0, |it| it.observed.attempts()),
            Requester::Command(_) => 0,
        };
        let index = usize::try_from(attempts).unwrap_or(0).checked_rem(usable.len()).unwrap_or(0);
        let address = usable.get(index).map(|address| **address);
        address.ok_or_else(|| format!("{} has no address that this machine can send to", url.host()))
    }

    pub(super) fn connected(&mut self, requester: Requester, peer: &Peer, now: Instant) {
        let token = match requester {
            Requester::Command(id) => self.commands.connected(id, peer, &mut self.engine, now),
            Requester::Observed(index) => {
                let Some(following) = self.following.get_mut(index) else { return };
                following.observed.connected(peer, &mut self.engine, now, rand::random());
                following.observed.token()
            }
        };
        if let Some(token) = token {
            self.asked.insert(token, requester);
        }
        self.report(requester);
    }

    pub(super) fn unreachable(&mut self, requester: Requester, reason: String, now: Instant) {
        match requester {
            Requester::Command(id) => self.commands.unreachable(id, reason),
            Requester::Observed(index) => {
                if let Some(following) = self.following.get_mut(index) {
                    following.observed.failed(reason, now, rand::random());
                }
            }
        }
        self.report(requester);
    }
}

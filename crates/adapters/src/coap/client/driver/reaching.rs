//! The way to a device: its name becomes an address, and behind `coaps://` an address a session, before it is asked
//! anything. A device that cannot be reached costs whoever asked for it, and nobody else.

use std::net::SocketAddr;
use std::time::Instant;

use coap_link::Peer;

use super::super::lookup::Found;
use super::super::sessions::Wanted;
use super::super::url::CoapUrl;
use super::{Driver, Who};

impl Driver<'_> {
    pub(super) fn found(&mut self, Found { who, url, addresses }: Found, now: Instant) {
        let address = addresses.and_then(|addresses| self.choose(who, &url, &addresses));
        let address = match address {
            Ok(address) => address,
            Err(reason) => return self.unreachable(who, reason, now),
        };
        if !url.is_secured() {
            return self.reached(who, &Peer::unsecured(address), now);
        }
        let Some((identity, credentials)) = self.servers.of(&url) else {
            let reason = format!("there is no identity and key for {}; write it into `servers`", url.host());
            return self.unreachable(who, reason, now);
        };
        match self.sessions.want(address, identity, credentials, now) {
            Wanted::Open(peer) => self.reached(who, &peer, now),
            Wanted::Opening(peer) => self.waiting.entry(peer.address).or_default().push(who),
            Wanted::Taken(other) => {
                let reason = format!("{address} has a session with Riser as {other} already");
                self.unreachable(who, reason, now);
            }
        }
    }

    /// The first address, after a failure the next.
    fn choose(&self, who: Who, url: &CoapUrl, addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
        let usable: Vec<_> = addresses.iter().filter(|address| self.sockets.reaches(**address)).collect();
        let attempts = match who {
            Who::Observed(index) => self.following.get(index).map_or(0, |it| it.observed.attempts()),
            Who::Command(_) => 0,
        };
        let turn = usize::try_from(attempts).unwrap_or(0).checked_rem(usable.len()).unwrap_or(0);
        let address = usable.get(turn).map(|address| **address);
        address.ok_or_else(|| format!("{} has no address that this machine can send to", url.host()))
    }

    pub(super) fn reached(&mut self, who: Who, peer: &Peer, now: Instant) {
        let token = match who {
            Who::Command(id) => self.commands.reached(id, peer, &mut self.engine, now),
            Who::Observed(index) => {
                let Some(following) = self.following.get_mut(index) else { return };
                following.observed.reached(peer, &mut self.engine, now, rand::random());
                following.observed.token()
            }
        };
        if let Some(token) = token {
            self.asked.insert(token, who);
        }
        self.tell(who);
    }

    pub(super) fn unreachable(&mut self, who: Who, reason: String, now: Instant) {
        match who {
            Who::Command(id) => self.commands.unreachable(id, reason),
            Who::Observed(index) => {
                if let Some(following) = self.following.get_mut(index) {
                    following.observed.failed(reason, now, rand::random());
                }
            }
        }
        self.tell(who);
    }
}

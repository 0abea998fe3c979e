//! A node's connection to the gateway: a socket, a CoAP engine and, with credentials, a DTLS session.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use coap_link::dtls::{Client, Credentials, HandshakeFailure, Output as Dtls};
use coap_link::{Engine, Method, Output, Peer, Request, RequestFailure, Response, Settings, Udp};
use tokio::time::{Instant, sleep_until};

use super::Target;

#[derive(Debug)]
pub(super) struct Channel {
    engine: Engine,
    udp: Udp,
    /// The gateway.
    peer: Peer,
    security: Option<Security>,
}

#[derive(Debug)]
struct Security {
    credentials: Credentials,
    /// `None` before the first session.
    session: Option<Client>,
    /// Why the last handshake failed.
    refusal: Option<HandshakeFailure>,
}

impl Channel {
    /// Opens a socket on a free port, and sends nothing yet.
    pub(super) fn open(address: SocketAddr, credentials: Option<Credentials>) -> io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let security = credentials.map(|credentials| Security { credentials, session: None, refusal: None });
        let engine = Engine::new(Settings { seed: rand::random(), ..Settings::default() });
        Ok(Self { engine, udp: Udp::bind(any)?, peer: Peer::unsecured(address), security })
    }

    /// Sends a request that every CoAP server answers; the error says why there is no answer.
    pub(super) async fn probe(&mut self) -> Result<(), String> {
        if self.needs_session() {
            self.open_session().await.map_err(|refusal| format!("no DTLS session: {refusal}"))?;
        }
        let request = Request::new(Method::Get, "/.well-known/core");
        self.ask(request).await.map(drop).map_err(|failure| failure.to_string())
    }

    pub(super) fn needs_session(&self) -> bool {
        self.security.as_ref().is_some_and(|security| !security.is_open())
    }

    /// Opens a DTLS session; takes up to half a minute.
    pub(super) async fn open_session(&mut self) -> Result<(), HandshakeFailure> {
        let Some(security) = &mut self.security else { return Ok(()) };
        let client = Client::connect(self.peer.address, &security.credentials, now());
        self.peer = client.peer().clone();
        security.session = Some(client);
        loop {
            // Without a request there is no answer.
            let _ = self.step().await;
            let Some(security) = &mut self.security else { return Ok(()) };
            if security.is_open() {
                return Ok(());
            }
            if security.session.as_ref().is_none_or(Client::is_over) {
                return Err(security.refusal.take().unwrap_or(HandshakeFailure::Timeout));
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Response, RequestFailure> {
        let Ok(asked) = self.engine.request(&self.peer, request, now()) else {
            return Err(RequestFailure::Busy);
        };
        loop {
            if let Some(Output::Response { token, result, .. }) = self.step().await
                && token == asked
            {
                return result;
            }
        }
    }

    /// Handles incoming datagrams between requests; never returns.
    pub(super) async fn idle(&mut self) {
        loop {
            let _ = self.step().await;
        }
    }

    /// Closes the session; the next request needs a new one.
    pub(super) async fn close(&mut self) {
        if let Some(session) = self.security.as_mut().and_then(|security| security.session.as_mut()) {
            session.close();
            let _ = self.flush().await;
        }
    }

    /// The number of retransmissions so far.
    pub(super) const fn retransmitted(&self) -> u64 {
        self.engine.counters().retransmitted
    }

    /// Sends pending datagrams, then waits for a datagram or a timeout and handles it.
    async fn step(&mut self) -> Option<Output> {
        if let Some(output) = self.flush().await {
            return Some(output);
        }
        let session = self.security.as_ref().and_then(|security| security.session.as_ref());
        let deadline = [self.engine.next_deadline(), session.and_then(Client::next_deadline)];
        let deadline = deadline.into_iter().flatten().min();
        let due = async {
            match deadline {
                Some(at) => sleep_until(Instant::from_std(at)).await,
                None => std::future::pending().await,
            }
        };
        let (engine, security, gateway) = (&mut self.engine, &mut self.security, &self.peer);
        let receive = self.udp.receive(|from, datagram, _| {
            if from != gateway.address {
                return;
            }
            match security.as_mut().map(|security| &mut security.session) {
                Some(Some(session)) => session.receive(from, datagram, now()),
                Some(None) => {}
                None => engine.receive(gateway, datagram, now()),
            }
        });
        tokio::select! {
            // Errors for a single datagram, mostly that its port is closed, are repaired by retransmission.
            _ = receive => {}
            () = due => {
                self.engine.timeout(now());
                if let Some(session) = self.security.as_mut().and_then(|security| security.session.as_mut()) {
                    session.timeout(now());
                }
            }
        }
        self.flush().await
    }

    /// Sends until there is an output for the caller.
    async fn flush(&mut self) -> Option<Output> {
        loop {
            if self.flush_session().await {
                continue;
            }
            match self.engine.poll()? {
                Output::Send { bytes, .. } => match &mut self.security {
                    None => self.send_datagram(&bytes).await,
                    // Without a session the message is lost.
                    Some(security) => drop(security.session.as_mut().map(|session| session.send(&bytes))),
                },
                output => return Some(output),
            }
        }
    }

    /// Handles one output of the session; returns whether there was one.
    async fn flush_session(&mut self) -> bool {
        let session = self.security.as_mut().and_then(|security| security.session.as_mut());
        let Some(output) = session.and_then(Client::poll) else { return false };
        match output {
            Dtls::Send { bytes, .. } => self.send_datagram(&bytes).await,
            Dtls::Plain { bytes, .. } => self.engine.receive(&self.peer, &bytes, now()),
            Dtls::Opened { .. } => {}
            Dtls::Closed { peer, .. } => self.engine.closed(&peer, now()),
            Dtls::Refused { reason, .. } => {
                if let Some(security) = &mut self.security {
                    security.refusal = Some(reason);
                }
            }
        }
        true
    }

    /// Sends a datagram, or drops it.
    async fn send_datagram(&self, datagram: &[u8]) {
        while let Err(error) = self.udp.try_send(self.peer.address, datagram) {
            if error.kind() != io::ErrorKind::WouldBlock || self.udp.writable().await.is_err() {
                return;
            }
        }
    }
}

impl Security {
    fn is_open(&self) -> bool {
        self.session.as_ref().is_some_and(Client::is_open)
    }
}

/// The text for a gateway that does not answer.
pub(super) fn no_answer(target: &Target) -> String {
    let (address, key) = match target.psk {
        Some(_) => ("listen_dtls", ", with this identity and key"),
        None => ("listen", ""),
    };
    format!(
        "nothing came back from {} within {} s; does a gateway run there with `{address}` in [adapters.coap.*]{key}?",
        target.address,
        super::FIRST_ANSWER_TIMEOUT.as_secs()
    )
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

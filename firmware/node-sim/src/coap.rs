//! CoAP over UDP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use node_core::coap::{Answer, Exchange, RETRY_SECONDS};
use node_core::{Delivery, LinkError};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// A datagram with the longest frame, its path and options.
const MAX_DATAGRAM: usize = 512;

pub(crate) struct CoapLink {
    gateway: (String, u16),
    path: String,
}

impl CoapLink {
    pub(crate) fn new(gateway: (String, u16), path: String) -> Self {
        Self { gateway, path }
    }

    pub(crate) async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        match self.exchange(frame).await {
            Some(Answer::Taken) => Ok(Delivery::Acknowledged),
            Some(Answer::Refused(_)) => Err(LinkError::Refused),
            Some(Answer::Failed | Answer::Later) | None => Err(LinkError::Down),
        }
    }

    async fn exchange(&self, frame: &[u8]) -> Option<Answer> {
        let gateway =
            tokio::net::lookup_host((self.gateway.0.as_str(), self.gateway.1)).await.ok()?.next()?;
        let any: SocketAddr = if gateway.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await.ok()?;
        socket.connect(gateway).await.ok()?;
        let exchange = Exchange { message_id: rand::random(), token: rand::random() };
        let mut request = [0; MAX_DATAGRAM];
        let length = exchange.post(&self.path, frame, &mut request)?;
        let request = request.get(..length)?;
        let mut is_acknowledged = false;
        for seconds in RETRY_SECONDS {
            if !is_acknowledged {
                // A port that is not open yet refuses one send and takes the next.
                let _ = socket.send(request).await;
            }
            let until = Instant::now() + Duration::from_secs(seconds.into());
            match answer(&socket, exchange, until).await {
                Ok(Some(Answer::Later)) => is_acknowledged = true,
                Ok(Some(answer)) => return Some(answer),
                Ok(None) => {}
                // Nothing listens at the gateway: the node tries again after its back-off.
                Err(_) => return None,
            }
        }
        None
    }
}

/// The first message of the exchange before `until`; an error if the gateway's machine refuses.
async fn answer(socket: &UdpSocket, exchange: Exchange, until: Instant) -> io::Result<Option<Answer>> {
    let mut message = [0; MAX_DATAGRAM];
    loop {
        let Ok(received) = timeout_at(until, socket.recv(&mut message)).await else { return Ok(None) };
        let message = message.get(..received?).unwrap_or_default();
        if let Some(answer) = exchange.answer(message) {
            if let Some(acknowledgement) = Exchange::acknowledge(message) {
                let _ = socket.send(&acknowledgement).await;
            }
            return Ok(Some(answer));
        }
    }
}

//! Frames over CoAP: one confirmable POST for each, repeated as `node_core::coap` says, for at most 30 s.

use embassy_net::udp::{PacketMetadata, SendError, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_rp::clocks::RoscRng;
use embassy_time::{Duration, with_timeout};
use node_core::coap::{Answer, Exchange, RETRY_SECONDS};
use node_core::{Delivery, LinkError};

use crate::config::Coap;
use crate::net::DATAGRAM;

pub(crate) async fn deliver(
    stack: Stack<'static>,
    config: &Coap,
    frame: &[u8],
) -> Result<Delivery, LinkError> {
    // By chance: over restarts no number is the one that the gateway has just seen.
    let exchange =
        Exchange { message_id: RoscRng.next_u32() as u16, token: RoscRng.next_u32().to_be_bytes() };
    let mut request = [0; DATAGRAM];
    let length = exchange.post(config.path, frame, &mut request).ok_or(LinkError::Refused)?;
    let request = request.get(..length).ok_or(LinkError::Refused)?;

    let (mut receive_meta, mut send_meta) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 2]);
    let (mut receive, mut send) = ([0; 2 * DATAGRAM], [0; DATAGRAM + 8]);
    let mut socket = UdpSocket::new(stack, &mut receive_meta, &mut receive, &mut send_meta, &mut send);
    socket.bind(0).map_err(|_| LinkError::Down)?;
    let gateway = IpEndpoint::from(config.gateway);
    let mut is_acknowledged = false;
    for seconds in RETRY_SECONDS {
        let wait = Duration::from_secs(u64::from(seconds));
        let answer = with_timeout(wait, async {
            if !is_acknowledged {
                socket.send_to(request, gateway).await?;
            }
            Ok::<_, SendError>(answer(&socket, gateway, exchange, &mut is_acknowledged).await)
        });
        match answer.await {
            Ok(Ok(Answer::Taken)) => return Ok(Delivery::Acknowledged),
            Ok(Ok(Answer::Refused(_))) => return Err(LinkError::Refused),
            Ok(Ok(Answer::Failed | Answer::Later) | Err(_)) => return Err(LinkError::Down),
            // Not yet.
            Err(_) => {}
        }
    }
    Err(LinkError::Down)
}

/// Waits for the answer that ends the exchange. An empty acknowledgement only ends the repetitions.
async fn answer(
    socket: &UdpSocket<'_>,
    gateway: IpEndpoint,
    exchange: Exchange,
    is_acknowledged: &mut bool,
) -> Answer {
    loop {
        let mut buffer = [0; DATAGRAM];
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let message = buffer.get(..length).unwrap_or_default();
        if from.endpoint != gateway {
            continue;
        }
        match exchange.answer(message) {
            Some(Answer::Later) => *is_acknowledged = true,
            Some(answer) => {
                if let Some(acknowledgement) = Exchange::acknowledge(message) {
                    // If it is lost, the gateway sends its answer again, to a closed port.
                    let _ = socket.send_to(&acknowledgement, gateway).await;
                }
                return answer;
            }
            None => {}
        }
    }
}

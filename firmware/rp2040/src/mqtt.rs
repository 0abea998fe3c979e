//! Frames over MQTT: one TCP connection for each, closed or cut after at most [`DELIVERY`] and [`CONNECT`].

use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};
use node_core::{Delivery, LinkError};
use node_mqtt::Commands;

use crate::config::Mqtt;

const CONNECT: Duration = Duration::from_secs(10);
const DELIVERY: Duration = Duration::from_secs(30);
const CLOSE: Duration = Duration::from_secs(2);
/// Room for the broker's longest packet and some more.
const BUFFER: usize = 512;

pub(crate) async fn deliver(
    stack: Stack<'static>,
    config: &Mqtt,
    frame: &[u8],
    commands: &mut Commands,
) -> Result<Delivery, LinkError> {
    let (mut receive, mut send) = ([0; BUFFER], [0; BUFFER]);
    let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
    let connected = with_timeout(CONNECT, socket.connect(config.broker)).await;
    connected.map_err(|_| LinkError::Down)?.map_err(|_| LinkError::Down)?;
    let delivery = node_mqtt::deliver(&mut socket, &config.account, frame, commands);
    let result = with_timeout(DELIVERY, delivery).await.unwrap_or(Err(LinkError::Down));
    socket.close();
    if result.is_err() || with_timeout(CLOSE, socket.flush()).await.is_err() {
        socket.abort();
        // Sends the reset; whether it arrives is the broker's concern.
        let _ = with_timeout(CLOSE, socket.flush()).await;
    }
    result
}

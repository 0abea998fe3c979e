//! LoRaWAN without a radio: the node's frames go into the gateway as a packet forwarder would bring them (Semtech's
//! PROTOCOL.TXT, version 2), and its downlinks come back. Time does not go faster in the air.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lorawan_device::async_device::Timings;
use lorawan_device::async_device::radio::{PhyRxTx, RxConfig, RxQuality, RxStatus, Timer, TxConfig};
use node_lorawan::{Credentials, LorawanLink, Settings};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

const VERSION: u8 = 2;
const PUSH_DATA: u8 = 0;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const TX_ACK: u8 = 5;
const HEADER: usize = 4;
/// The packet forwarder's own.
const GATEWAY_EUI: [u8; 8] = *b"node-sim";
/// The answer to an uplink comes at once, long before its window: whoever listens has it.
const WINDOW: Duration = Duration::from_millis(100);
/// How often the path for downlinks is opened again; it closes after some ten seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) type SimLorawan = LorawanLink<Forwarder, Clock>;

pub(crate) fn link(gateway: (String, u16), credentials: Credentials) -> SimLorawan {
    let settings = Settings { keeps_duty_cycle: false, ..Settings::default() };
    let clock = Clock { started: Instant::now() };
    LorawanLink::new(Forwarder { gateway, socket: None }, clock, rand::random(), credentials, settings)
}

pub(crate) struct Clock {
    started: Instant,
}

impl Timer for Clock {
    fn reset(&mut self) {
        self.started = Instant::now();
    }

    async fn at(&mut self, millis: u64) {
        sleep_until(self.started + Duration::from_millis(millis)).await;
    }

    async fn delay_ms(&mut self, millis: u64) {
        sleep(Duration::from_millis(millis)).await;
    }
}

pub(crate) struct Forwarder {
    gateway: (String, u16),
    socket: Option<UdpSocket>,
}

impl Forwarder {
    async fn connect(&self) -> io::Result<UdpSocket> {
        let gateway = tokio::net::lookup_host((self.gateway.0.as_str(), self.gateway.1)).await?.next();
        let gateway = gateway.ok_or_else(|| io::Error::other("no such host"))?;
        let any: SocketAddr = if gateway.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(gateway).await?;
        Ok(socket)
    }

    /// Opens the path for downlinks, then hands over an uplink. Both are acknowledged; a gateway that is away answers neither.
    async fn push(&mut self, config: TxConfig, frame: &[u8]) -> io::Result<()> {
        let socket = self.connect().await?;
        socket.send(&packet(PULL_DATA, b"")).await?;
        answer(&socket).await?;
        let rate = format!("SF{}BW{}", config.rf.bb.sf.factor(), config.rf.bb.bw.hz() / 1000);
        let received = json!({ "rxpk": [{
            "tmst": 0, "freq": f64::from(config.rf.frequency) / 1e6, "chan": 0, "rfch": 0, "stat": 1, "modu": "LORA",
            "datr": rate, "codr": "4/5", "rssi": -80, "lsnr": 7.5, "size": frame.len(), "data": STANDARD.encode(frame),
        }] });
        socket.send(&packet(PUSH_DATA, received.to_string().as_bytes())).await?;
        answer(&socket).await?;
        self.socket = Some(socket);
        Ok(())
    }

    /// The downlink that came for this window, if one did.
    async fn downlink(&mut self) -> Option<Vec<u8>> {
        let socket = self.socket.as_ref()?;
        let (mut datagram, until) = ([0; 1024], Instant::now() + WINDOW);
        loop {
            let length = timeout_at(until, socket.recv(&mut datagram)).await.ok()?.ok()?;
            let Some(([_, high, low, PULL_RESP], body)) =
                datagram.get(..length)?.split_first_chunk::<HEADER>()
            else {
                continue;
            };
            let _ = socket.send(&[&[VERSION, *high, *low, TX_ACK], &GATEWAY_EUI[..]].concat()).await;
            let body: Value = serde_json::from_slice(body).ok()?;
            return STANDARD.decode(body.get("txpk")?.get("data")?.as_str()?).ok();
        }
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = rand::random::<[u8; 2]>();
    [&[VERSION, high, low, kind], &GATEWAY_EUI[..], body].concat()
}

async fn answer(socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = [0; 64];
    timeout(ANSWER_TIMEOUT, socket.recv(&mut datagram)).await??;
    Ok(())
}

impl Timings for Forwarder {
    fn get_rx_window_lead_time_ms(&self) -> u32 {
        0
    }
}

impl PhyRxTx for Forwarder {
    type PhyError = io::Error;
    const MAX_RADIO_POWER: u8 = 14;

    async fn tx(&mut self, config: TxConfig, buf: &[u8]) -> Result<u32, io::Error> {
        self.socket = None;
        // What nobody hears is sent all the same.
        let _ = self.push(config, buf).await;
        Ok(0)
    }

    async fn setup_rx(&mut self, _config: RxConfig) -> Result<(), io::Error> {
        Ok(())
    }

    async fn rx_continuous(&mut self, _buffer: &mut [u8]) -> Result<(usize, RxQuality), io::Error> {
        std::future::pending().await
    }

    async fn rx_single(&mut self, buffer: &mut [u8]) -> Result<RxStatus, io::Error> {
        let Some(frame) = self.downlink().await else { return Ok(RxStatus::RxTimeout) };
        let Some(target) = buffer.get_mut(..frame.len()) else { return Ok(RxStatus::RxTimeout) };
        target.copy_from_slice(&frame);
        Ok(RxStatus::Rx(frame.len(), RxQuality::new(-80, 7)))
    }
}

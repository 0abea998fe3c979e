//! The radio chip (CYW43439) and the network: joins when a frame is to be sent and the network is not there, asks for the time.
//! Every step ends in a bounded time.

use core::net::SocketAddrV4;

use cyw43::{Control, JoinAuth, JoinOptions, PowerManagementMode};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use embassy_executor::Spawner;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Runner, Stack, StackResources};
use embassy_rp::Peri;
use embassy_rp::clocks::RoscRng;
use embassy_rp::dma::Channel;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIN_23, PIN_24, PIN_25, PIN_29, PIO0};
use embassy_rp::pio::Pio;
use embassy_time::{Duration, with_timeout};
use node_core::{LinkError, sntp};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{Interrupts, config};

const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(15);
const TIME_TIMEOUT: Duration = Duration::from_secs(2);
const TIME_TRIES: u32 = 3;
const NTP_PORT: u16 = 123;
/// DHCP's, and one of UDP or TCP for a delivery.
const SOCKETS: usize = 3;

/// The longest datagram of a node.
pub(crate) const DATAGRAM: usize = 320;

/// The pins and parts of the Pico W that its radio is wired to.
pub(crate) struct Radio {
    pub(crate) power: Peri<'static, PIN_23>,
    pub(crate) data: Peri<'static, PIN_24>,
    pub(crate) select: Peri<'static, PIN_25>,
    pub(crate) clock: Peri<'static, PIN_29>,
    pub(crate) pio: Peri<'static, PIO0>,
    pub(crate) dma: Peri<'static, DMA_CH0>,
}

type Spi = PioSpi<'static, PIO0, 0>;
type RadioRunner = cyw43::Runner<'static, cyw43::SpiBus<Output<'static>, Spi>>;

#[embassy_executor::task]
async fn run_radio(runner: RadioRunner) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn run_stack(mut runner: Runner<'static, cyw43::NetDriver<'static>>) -> ! {
    runner.run().await
}

/// The network, once its radio runs.
pub(crate) struct Network {
    pub(crate) stack: Stack<'static>,
    control: Control<'static>,
}

/// Starts the radio; `None` if the image has no firmware for it, or its tasks run already.
pub(crate) async fn start(spawner: Spawner, radio: Radio) -> Option<Network> {
    static STATE: StaticCell<cyw43::State> = StaticCell::new();
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());

    let firmware = cyw43::aligned_bytes!(concat!(env!("OUT_DIR"), "/radio.bin"));
    let nvram = cyw43::aligned_bytes!(concat!(env!("OUT_DIR"), "/radio_nvram.bin"));
    let regulations = include_bytes!(concat!(env!("OUT_DIR"), "/radio_clm.bin"));
    // Not judged by the compiler, which would leave the network out of the image whose size is measured.
    if core::hint::black_box(firmware.len()) == 0 {
        return None;
    }
    let power = Output::new(radio.power, Level::Low);
    let select = Output::new(radio.select, Level::High);
    let mut pio = Pio::new(radio.pio, Interrupts);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        select,
        radio.data,
        radio.clock,
        Channel::new(radio.dma, Interrupts),
    );
    let (driver, mut control, runner) =
        cyw43::new(STATE.try_init_with(cyw43::State::new)?, power, spi, firmware, nvram).await;
    spawner.spawn(run_radio(runner).ok()?);
    control.init(regulations).await;
    control.set_power_management(PowerManagementMode::PowerSave).await;

    let dhcp = embassy_net::Config::dhcpv4(embassy_net::DhcpConfig::default());
    let (stack, runner) = embassy_net::new(driver, dhcp, RESOURCES.try_take()?, RoscRng.next_u64());
    spawner.spawn(run_stack(runner).ok()?);
    Some(Network { stack, control })
}

impl Network {
    /// Joins the network if it is not joined, and waits for an address.
    pub(crate) async fn connect(&mut self) -> Result<(), LinkError> {
        if !self.stack.is_link_up() {
            let options = match config::PASSWORD {
                "" => JoinOptions::new_open(),
                password => {
                    let mut options = JoinOptions::new(password.as_bytes());
                    options.auth = JoinAuth::Wpa2;
                    options
                }
            };
            let joined = with_timeout(JOIN_TIMEOUT, self.control.join(config::NETWORK, options)).await;
            joined.map_err(|_| LinkError::Down)?.map_err(|_| LinkError::Down)?;
        }
        with_timeout(ADDRESS_TIMEOUT, self.stack.wait_config_up()).await.map_err(|_| LinkError::Down)?;
        Ok(())
    }

    /// The time of day, of the configured server.
    pub(crate) async fn unix_time(&mut self) -> Option<u32> {
        let server = SocketAddrV4::new(config::TIME_SERVER?, NTP_PORT).into();
        self.connect().await.ok()?;
        for _ in 0..TIME_TRIES {
            let nonce = RoscRng.next_u64();
            let time = ask_time(self.stack, server, nonce);
            if let Ok(Some(time)) = with_timeout(TIME_TIMEOUT, time).await {
                return Some(time);
            }
        }
        None
    }
}

/// Sends one request and waits for its answer, without a limit.
async fn ask_time(stack: Stack<'static>, server: IpEndpoint, nonce: u64) -> Option<u32> {
    let (mut receive_meta, mut send_meta) = ([PacketMetadata::EMPTY; 2], [PacketMetadata::EMPTY; 1]);
    let (mut receive, mut send) = ([0; 2 * sntp::LENGTH], [0; sntp::LENGTH]);
    let mut socket = UdpSocket::new(stack, &mut receive_meta, &mut receive, &mut send_meta, &mut send);
    socket.bind(0).ok()?;
    socket.send_to(&sntp::request(nonce), server).await.ok()?;
    loop {
        let mut answer = [0; sntp::LENGTH];
        let Ok((_, from)) = socket.recv_from(&mut answer).await else { continue };
        if from.endpoint == server
            && let Some(time) = sntp::unix_time(&answer, nonce)
        {
            return Some(time);
        }
    }
}

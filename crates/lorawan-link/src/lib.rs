//! A LoRaWAN 1.0.x network server for one gateway process, behind Semtech UDP packet forwarders.
//!
//! [`Network`] speaks the protocols and touches no socket, no clock and no store: datagrams, commands and the time go in,
//! datagrams, sessions to store and events come out. It hands out each frame of a device once, in the clear, however
//! many forwarders heard it; it knows nothing of what the payloads mean.
//!
//! # How a network is driven
//! - [`Network::add`] for each device, with what was stored of it last,
//! - [`Network::receive`] for each datagram that came in,
//! - [`Network::timeout`] when [`Network::next_deadline`] has come,
//! - [`Network::poll`] after each of these and after each call below, until it returns `None`. Nothing leaves and nothing
//!   is told in any other way, and the outputs are to be acted on in their order.
//!
//! Four outputs want an answer:
//! - [`Output::Store`]: the state is to be stored before what comes behind it is acted on; then [`Network::stored`]. A join
//!   accept leaves only after that.
//! - [`Output::Uplink`]: when the host has it for good, [`Network::taken`]. A confirmed uplink is acknowledged only after
//!   that: in the first receive window if there is time, else in the second, else when the device repeats it. When the
//!   host cannot take it, [`Network::untaken`]: a confirmed one is then told again when the device repeats it.
//! - [`Output::Transmit`]: when its datagram has left, [`Network::left`]; when it will not, [`Network::withheld`].
//! - [`Output::Downlink`] tells what became of what [`Network::send`] took.
//!
//! # What it promises
//! - Nothing moves a counter but a frame whose integrity code is right. A frame that was heard before, or that another one
//!   has overtaken, is refused; so is a DevNonce that was in use. No counter of a downlink and no AppNonce is used twice,
//!   whenever the process ends, if the outputs were acted on in their order.
//! - Every frame that is not told is an [`Output::Refused`] with its [`Reason`], and counted ([`Network::refused`]).
//! - What is held is bounded by the [`Settings`], whatever comes in; [`Network::holdings`] tells how much it is.
//! - Gateways keep to the duty cycle of each sub-band where the region has one; [`Network::gateways`] tells what is used.
//! - Keys do not print and are wiped when they go.
//!
//! Class B, LoRaWAN 1.1, LR-FHSS, relays and repeaters are not spoken.
//!
//! ```
//! # use std::time::Instant;
//! use lorawan_link::{Abp, Activation, Class, DeviceConfig, Network, Now, Output, Region, Settings};
//!
//! let abp = Abp {
//!     address: "26000001".parse()?,
//!     nwk_s_key: "01010101010101010101010101010101".parse()?,
//!     app_s_key: "02020202020202020202020202020202".parse()?,
//!     last_f_cnt_up: None,
//!     rx: None,
//!     resets: false,
//! };
//! let dev_eui = "a84041ffff000001".parse()?;
//! let mut network = Network::new(Settings::new(Region::Eu868));
//! network.add(DeviceConfig { dev_eui, activation: Activation::Abp(abp), class: Class::A }, None);
//!
//! # #[allow(clippy::disallowed_methods)]
//! # let instant = Instant::now();
//! # let wall = "2026-11-21T12:00:00Z".parse()?;
//! let now = Now { instant, wall };
//! let forwarder = "192.0.2.1:40000".parse()?;
//! let mut datagram = vec![2, 0x12, 0x34, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, 1];
//! datagram.extend(br#"{"rxpk":[{"tmst":100000000,"freq":868.5,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5",
//!     "rssi":-90,"lsnr":5.5,"size":17,"data":"QAEAACYAAAAH6nYrY9uyYSs="}]}"#);
//! network.receive(forwarder, &datagram, now);
//! assert_eq!(network.poll(), Some(Output::Send { to: forwarder, bytes: vec![2, 0x12, 0x34, 1] }));
//!
//! let due = network.next_deadline().ok_or("other copies are waited for")?;
//! network.timeout(Now { instant: due, ..now });
//! let Some(Output::Uplink(uplink)) = network.poll() else { return Err("a frame is told".into()) };
//! assert_eq!((uplink.device, uplink.f_cnt, uplink.data.map(|data| data.f_port)), (dev_eui, 0, Some(7)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adr;
mod airtime;
mod crypto;
mod data_rate;
mod dedup;
mod device;
mod downlink;
mod duty;
mod frame;
mod gateways;
mod ids;
mod join;
mod key;
mod mac;
mod network;
mod output;
mod reason;
mod region;
mod semtech;
mod session;
mod settings;

pub use airtime::airtime;
pub use data_rate::DataRate;
pub use device::{Abp, Activation, Class, DeviceConfig, DeviceState, Locked, Otaa};
pub use duty::Use;
pub use gateways::GatewayView;
pub use ids::{DevAddr, Eui, IdError, NetId};
pub use key::{Key, KeyError};
pub use mac::{Battery, Status};
pub use network::{Holdings, Network, Now};
pub use output::{
    Claimed, Data, DownlinkId, Failure, Outcome, Output, Receiver, SendError, StoreToken, Transmission,
    TransmissionId, Uplink, UplinkToken,
};
pub use reason::Reason;
pub use region::{Region, SubBand, UnknownRegion};
pub use semtech::{Antenna, Stat, TxError};
pub use session::{LastUplink, MAX_FCNT_GAP, RxParameters, Session};
pub use settings::Settings;

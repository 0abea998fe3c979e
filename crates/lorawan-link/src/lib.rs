//! A LoRaWAN 1.0.x network server for Semtech UDP packet forwarders.
//!
//! [`Network`] implements the protocols without sockets, clock and store: it takes datagrams, commands and the time, and returns
//! datagrams, states to store and events. It reports each frame of a device once and decrypted, however many forwarders
//! received it. It does not interpret payloads.
//!
//! # How to drive a network
//! - Call [`Network::add`] for each device, with its stored state.
//! - Call [`Network::receive`] for each received datagram.
//! - Call [`Network::timeout`] at [`Network::next_deadline`].
//! - Call [`Network::poll`] after each of these calls and after each call below, until it returns `None`. Handle the outputs in
//!   their order.
//!
//! Four outputs need an answer:
//! - [`Output::Store`]: store the state before handling later outputs, then call [`Network::state_stored`]. A join accept is sent
//!   only after that.
//! - [`Output::Uplink`]: call [`Network::uplink_accepted`] when the uplink is durable. A confirmed uplink is acknowledged only after
//!   that: in RX1 if there is time, otherwise in RX2, otherwise when the device repeats it. If the host cannot accept it, call
//!   [`Network::uplink_rejected`]: a confirmed uplink is then reported again when the device repeats it.
//! - [`Output::Transmit`]: call [`Network::transmission_sent`] after sending it, or [`Network::transmission_cancelled`].
//! - [`Output::Downlink`] reports the result of [`Network::send`].
//!
//! # Guarantees
//! - Only a frame with a valid MIC moves a counter. A replayed or overtaken frame is rejected, and so is a used DevNonce. No
//!   downlink counter and no AppNonce is used twice, even after a crash, if the outputs were handled in their order.
//! - Every frame that is not reported is an [`Output::Refused`] with its [`Reason`], and is counted ([`Network::refused`]).
//! - Memory is bounded by the [`Settings`] for any input; [`Network::memory_use`] reports it.
//! - Gateways respect the duty cycle of each sub-band of their region; [`Network::gateways`] reports its use.
//! - Keys cannot be printed and are wiped when they are dropped.
//!
//! Not supported: class B, LoRaWAN 1.1, LR-FHSS, relays and repeaters.
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
//! let Some(Output::Uplink(uplink)) = network.poll() else { return Err("a frame is reported".into()) };
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
pub use duty::DutyCycleUse;
pub use gateways::GatewayView;
pub use ids::{DevAddr, Eui, IdError, NetId};
pub use key::{Key, KeyError};
pub use mac::{Battery, Status};
pub use network::{MemoryUse, Network, Now};
pub use output::{
    Claimed, Data, DownlinkId, Failure, Outcome, Output, Receiver, SendError, StoreToken, Transmission,
    TransmissionId, Uplink, UplinkToken,
};
pub use reason::Reason;
pub use region::{Region, SubBand, UnknownRegion};
pub use semtech::{Antenna, Stat, TxError};
pub use session::{LastUplink, MAX_FCNT_GAP, RxParameters, Session};
pub use settings::Settings;

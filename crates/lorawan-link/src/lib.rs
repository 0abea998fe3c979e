//! A LoRaWAN 1.0.x network server for one gateway process, behind Semtech UDP packet forwarders.

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
pub use device::{Abp, Activation, Class, DeviceConfig, DeviceState, Otaa};
pub use duty::Use;
pub use gateways::GatewayView;
pub use ids::{DevAddr, Eui, IdError, NetId};
pub use key::{Key, KeyError};
pub use mac::{Battery, Status};
pub use network::{Holdings, Network, Now};
pub use output::{
    Claimed, Data, DownlinkId, Failure, Outcome, Output, Receiver, SendError, StoreToken, Uplink, UplinkToken,
};
pub use reason::Reason;
pub use region::{Region, SubBand, UnknownRegion};
pub use semtech::{Antenna, Stat, TxError};
pub use session::{LastUplink, MAX_FCNT_GAP, RxParameters, Session};
pub use settings::Settings;

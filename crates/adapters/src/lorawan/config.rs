//! `[adapters.lorawan.*]`, and `lorawan` of `[devices.*]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use gateway_core::settings::{HumanDuration, ListenAddress, Secret};
use lorawan_link::{Eui, Region};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// LoRaWAN devices behind Semtech UDP packet forwarders: Riser is their network server. The devices and their keys are
/// in `lorawan` of `[devices.*]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LorawanAdapter")]
pub struct LorawanConfig {
    /// Address and port that packet forwarders send to.
    #[schemars(with = "ListenAddress", example = "0.0.0.0:1700")]
    pub listen: SocketAddr,
    /// The region, whose channels and rules are used; required.
    #[schemars(example = &"EU868")]
    pub region: Option<RegionName>,
    /// The NetID, 6 hex digits; addresses of devices that join begin with it. `000000` and `000001` are free
    /// for private networks.
    pub net_id: String,
    /// The EUIs of the packet forwarders that are accepted. Empty: all.
    #[schemars(example = ["aa555a0000000101"])]
    pub gateways: Vec<String>,
    /// The networks that packet forwarders may send from. Empty: all.
    #[schemars(example = ["10.0.0.0/8"])]
    pub networks: Vec<String>,
    /// Whether a frame must have a radio checksum: uplinks have one.
    pub crc: CrcPolicy,
    /// How long to wait for copies of a frame from other forwarders.
    pub dedup: HumanDuration,
    /// Whether devices that request ADR get a data rate and a power.
    pub adr: bool,
    /// US915 and AU915: which eight channels the forwarders listen on. Default: all.
    #[schemars(range(min = 1, max = 8), example = &2)]
    pub sub_band: Option<u8>,
    /// The gain of the forwarders' antennas in dBi, minus the loss of their cables.
    #[schemars(range(min = -20, max = 20))]
    pub antenna_gain: i8,
}

impl Default for LorawanConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1700),
            region: None,
            net_id: "000000".to_owned(),
            gateways: Vec::new(),
            networks: Vec::new(),
            crc: CrcPolicy::default(),
            dedup: HumanDuration(std::time::Duration::from_millis(200)),
            adr: true,
            sub_band: None,
            antenna_gain: 2,
        }
    }
}

/// A region's channel plan (LoRa Alliance RP002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "LorawanRegion")]
pub enum RegionName {
    /// Europe, 863 to 870 MHz.
    Eu868,
    /// North America, 902 to 928 MHz.
    Us915,
    /// Australia and South America, 915 to 928 MHz.
    Au915,
    /// Asia, 923 MHz (AS923-1).
    As923,
    /// India, 865 to 867 MHz.
    In865,
}

impl From<RegionName> for Region {
    fn from(name: RegionName) -> Self {
        match name {
            RegionName::Eu868 => Self::Eu868,
            RegionName::Us915 => Self::Us915,
            RegionName::Au915 => Self::Au915,
            RegionName::As923 => Self::As923,
            RegionName::In865 => Self::In865,
        }
    }
}

/// The handling of frames without a radio checksum; one with a wrong checksum is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LorawanCrc")]
pub enum CrcPolicy {
    /// They are refused.
    #[default]
    Required,
    /// They are accepted: for forwarders that do not report the checksum.
    Optional,
}

/// A LoRaWAN device: with a fixed session (ABP: `dev_addr`, `nwk_skey`, `app_skey`) or one that joins (OTAA:
/// `join_eui`, `app_key`). Keys are 32 hex digits, each in this file or in a separate one (`…_file`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LorawanDevice")]
pub struct LorawanDevice {
    /// Its DevEUI, 16 hex digits.
    #[schemars(example = &"a84041ffff000001")]
    pub dev_eui: String,
    /// OTAA: the JoinEUI (AppEUI) that it sends.
    #[serde(default)]
    #[schemars(example = &"70b3d57ed0000001")]
    pub join_eui: Option<String>,
    /// OTAA: its own key.
    #[serde(default)]
    pub app_key: Option<Secret>,
    /// OTAA: a file with its own key.
    #[serde(default)]
    #[schemars(example = &"lounge.key")]
    pub app_key_file: Option<PathBuf>,
    /// ABP: its address, 8 hex digits.
    #[serde(default)]
    #[schemars(example = &"26011bda")]
    pub dev_addr: Option<String>,
    /// ABP: the network's key.
    #[serde(default)]
    pub nwk_skey: Option<Secret>,
    /// ABP: a file with the network's key.
    #[serde(default)]
    #[schemars(example = &"lounge.nwk")]
    pub nwk_skey_file: Option<PathBuf>,
    /// ABP: the application's key.
    #[serde(default)]
    pub app_skey: Option<Secret>,
    /// ABP: a file with the application's key.
    #[serde(default)]
    #[schemars(example = &"lounge.app")]
    pub app_skey_file: Option<PathBuf>,
    /// ABP: the counter of the last frame that another server accepted; a counter stored by Riser has priority until this
    /// number is changed. Default, and with 0: any first frame is accepted.
    #[serde(default)]
    #[schemars(example = &0)]
    pub fcnt_up: Option<u32>,
    /// ABP: whether the device may restart its counter at 0, for example after a change of batteries. Then recorded
    /// first frames can be replayed.
    #[serde(default)]
    pub resets: bool,
    /// ABP: the delay of its first receive window in seconds.
    #[serde(default)]
    #[schemars(range(min = 1, max = 15), example = &1)]
    pub rx_delay: Option<u8>,
    /// Its class: `A` listens after its own uplinks, `C` all the time.
    #[serde(default)]
    pub class: DeviceClass,
}

impl LorawanDevice {
    /// Whether `text` is its DevEUI.
    #[must_use]
    pub fn has_dev_eui(&self, text: &str) -> bool {
        self.dev_eui.parse::<Eui>().is_ok_and(|dev_eui| text.parse() == Ok(dev_eui))
    }
}

/// The keys of `[devices.*]` for devices that speak LoRaWAN.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceKeys {
    /// Its identities and keys, if it is a LoRaWAN device of `[adapters.lorawan.*]`.
    pub lorawan: Option<LorawanDevice>,
}

/// When a device listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LorawanClass")]
pub enum DeviceClass {
    /// After its own uplinks.
    #[default]
    A,
    /// All the time.
    C,
}

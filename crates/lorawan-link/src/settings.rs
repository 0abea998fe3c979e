//! The limits and policies of a network.

use std::collections::HashSet;
use std::time::Duration;

use crate::ids::{Eui, NetId};
use crate::region::Region;
use crate::session::{MAX_FCNT_GAP, RxParameters};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub region: Region,
    /// The NetID; addresses of joining devices start with its prefix.
    pub net_id: NetId,
    /// The seed of addresses and tokens: from the system's randomness, or a constant in tests.
    pub seed: u64,

    /// The accepted forwarders; `None` for all.
    pub allowed_gateways: Option<HashSet<Eui>>,
    /// The most forwarders.
    pub gateways: usize,
    /// A forwarder silent for this long is dropped when space is needed for another.
    pub gateway_silent: Duration,
    /// How long a forwarder can be sent to after its last PULL_DATA, which comes every 5 to 30 s.
    pub downlink_path_lifetime: Duration,

    /// How long to wait for further copies of a frame.
    pub dedup: Duration,
    /// The most frames waiting for copies; beyond that the oldest stops waiting.
    pub held: usize,
    /// The most receivers recorded per frame.
    pub receivers: usize,
    /// Whether to accept uplinks without a checksum. They are usually another network's downlinks, or come from a faulty
    /// forwarder.
    pub accept_missing_crc: bool,
    /// The largest accepted gap of a counter.
    pub max_fcnt_gap: u32,
    /// A forwarder's time is used if it is this close to ours.
    pub time_within: Duration,

    /// The receive windows assigned to joining devices.
    pub rx: RxParameters,
    /// The eight channels used by forwarders in US915 and AU915, 0 to 7; `None` for all 64.
    pub sub_band: Option<u8>,
    /// Whether to control the data rate and power of devices with ADR.
    pub adr: bool,
    /// How often to request the status of devices; `None`: never.
    pub status_every: Option<Duration>,
    /// The antenna gain of the forwarders in dBi, minus cable loss.
    pub antenna_gain: i8,
    /// How long before its time a downlink is sent to the forwarder.
    pub lead: Duration,
    /// How long a forwarder may take to report an error; after that the frame counts as sent.
    pub tx_ack_within: Duration,
    /// The most transmissions without a result; beyond that the oldest counts as sent.
    pub transmissions: usize,
    /// The most queued downlinks per device.
    pub queue: usize,
}

impl Settings {
    /// The defaults of a region.
    ///
    /// Joining devices get a delay of 5 s instead of 1 s, because an uplink is acknowledged only after it is stored.
    #[must_use]
    pub fn new(region: Region) -> Self {
        Self {
            region,
            net_id: NetId::default(),
            seed: 0,
            allowed_gateways: None,
            gateways: 256,
            gateway_silent: Duration::from_secs(3_600),
            downlink_path_lifetime: Duration::from_secs(60),
            dedup: Duration::from_millis(200),
            held: 1_024,
            receivers: 32,
            accept_missing_crc: false,
            max_fcnt_gap: MAX_FCNT_GAP,
            time_within: Duration::from_secs(60),
            rx: RxParameters { delay: 5, ..RxParameters::of(region) },
            sub_band: None,
            adr: true,
            status_every: Some(Duration::from_secs(24 * 3_600)),
            antenna_gain: 2,
            lead: Duration::from_millis(200),
            tx_ack_within: Duration::from_secs(2),
            transmissions: 1_024,
            queue: 16,
        }
    }
}

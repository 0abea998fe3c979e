//! What a network may use of time and memory, and its policies.

use std::collections::HashSet;
use std::time::Duration;

use crate::ids::{Eui, NetId};
use crate::region::Region;
use crate::session::{MAX_FCNT_GAP, RxParameters};

/// A network's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whose channels and rules hold.
    pub region: Region,
    /// The network's number; addresses of devices that join begin with it.
    pub net_id: NetId,
    /// Where addresses and tokens start from: the same in a test; in earnest from the operating system's randomness.
    pub seed: u64,

    /// The forwarders that are heard; `None`: all.
    pub allowed_gateways: Option<HashSet<Eui>>,
    /// Forwarders that are remembered.
    pub gateways: usize,
    /// A forwarder that was silent this long is forgotten when there is no room for another.
    pub gateway_silent: Duration,
    /// How long a forwarder may be sent to after its last PULL_DATA, which comes every 5 to 30 s.
    pub path_lives: Duration,

    /// How long other copies of a frame are waited for.
    pub dedup: Duration,
    /// Frames that wait for their other copies; beyond, the oldest goes on without.
    pub held: usize,
    /// Receivers of a frame that are kept.
    pub receivers: usize,
    /// Whether a frame without a checksum is taken. Uplinks have one, so it is somebody's downlink or a faulty
    /// forwarder's.
    pub accept_missing_crc: bool,
    /// How far a frame's counter may be ahead of the last one.
    pub max_fcnt_gap: u32,
    /// A forwarder's time is believed if it is this near to ours.
    pub time_within: Duration,

    /// When and where devices that join listen after their uplinks.
    pub rx: RxParameters,
    /// Which eight channels the forwarders of US915 and AU915 listen on, 0 to 7; `None`: on all 64.
    pub sub_band: Option<u8>,
    /// Whether devices that ask for it are told a data rate and a power.
    pub adr: bool,
    /// How often devices are asked for their battery; `None`: never.
    pub status_every: Option<Duration>,
    /// The gain of the forwarders' antennas in dBi, less the loss of their cables.
    pub antenna_gain: i8,
    /// How long before its time a downlink has to leave, for the way to the forwarder and the preparations there.
    pub lead: Duration,
    /// How long a forwarder may take to say that it cannot send; after that it is taken to have sent.
    pub tx_ack_within: Duration,
    /// Downlinks of which it is not known yet whether they are sent; beyond, the oldest counts as sent.
    pub flights: usize,
    /// Downlinks of a device that wait.
    pub queue: usize,
}

impl Settings {
    /// The usual settings of a region.
    ///
    /// Devices that join are told to listen after 5 s and not after 1 s: an uplink is confirmed only when it is stored
    /// for good.
    #[must_use]
    pub fn new(region: Region) -> Self {
        Self {
            region,
            net_id: NetId::default(),
            seed: 0,
            allowed_gateways: None,
            gateways: 256,
            gateway_silent: Duration::from_secs(3_600),
            path_lives: Duration::from_secs(60),
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
            flights: 1_024,
            queue: 16,
        }
    }
}

//! How long a connection may say nothing, or leave what it was sent unacknowledged, before it is given up.
//!
//! Only the time that we listened counts: where the owner does not take what comes, nothing is read.

use std::time::Duration;

use crate::Options;
use crate::link::Packet;

/// To finish what the connection has begun before it is cut off.
const GRACE: Duration = Duration::from_secs(1);

/// What one connection has been waited for.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    connected: bool,
    /// Since anything came.
    silence: Duration,
    /// Messages sent and not acknowledged.
    outstanding: u32,
    /// Since the last acknowledgement, while some are outstanding.
    unacknowledged: Duration,
}

impl Patience {
    /// How long to listen before giving up.
    pub(crate) fn left(&self, options: &Options) -> Duration {
        if self.connected {
            // rumqttc pings once per keep-alive, so that long at most nothing comes from a broker that is there.
            (options.keep_alive() * 3 / 2).saturating_sub(self.silence)
        } else {
            options.connect_timeout + GRACE
        }
    }

    /// Having listened for `listened`, these came.
    pub(crate) fn heard(&mut self, packets: &[Packet], listened: Duration) {
        self.silence += listened;
        self.unacknowledged += listened;
        for packet in packets {
            if packet.is_heard() {
                self.silence = Duration::ZERO;
            }
            match packet {
                Packet::Connected(_) => self.connected = true,
                Packet::Sent(_) => self.outstanding = self.outstanding.saturating_add(1),
                Packet::Acked { .. } => {
                    self.outstanding = self.outstanding.saturating_sub(1);
                    self.unacknowledged = Duration::ZERO;
                }
                _ => {}
            }
        }
        if self.outstanding == 0 {
            self.unacknowledged = Duration::ZERO;
        }
    }

    /// Whether the broker answers, but acknowledges nothing of what it was sent.
    pub(crate) fn never_acknowledged(&self, options: &Options) -> bool {
        self.unacknowledged > options.ack_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Connected;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> Options {
        Options::new("mqtt://cloud".parse().unwrap(), "c")
    }

    fn connected() -> Patience {
        let mut patience = Patience::default();
        let connected = Connected { session_present: false, receive_maximum: 1, max_packet_size: 1 };
        patience.heard(&[Packet::Connected(connected)], SECOND);
        patience
    }

    #[test]
    fn silence_adds_up_to_one_and_a_half_keep_alives_whatever_we_send() {
        let mut patience = connected();
        assert_eq!(patience.left(&options()), 45 * SECOND);
        patience.heard(&[Packet::Sent(1)], 30 * SECOND);
        patience.heard(&[], 10 * SECOND);
        assert_eq!(patience.left(&options()), 5 * SECOND);
        patience.heard(&[Packet::Other], 4 * SECOND);
        assert_eq!(patience.left(&options()), 45 * SECOND);
    }

    #[test]
    fn a_broker_that_answers_pings_must_acknowledge_too() {
        let mut patience = connected();
        patience.heard(&[Packet::Other], 1000 * SECOND);
        assert!(!patience.never_acknowledged(&options()), "nothing was sent");
        patience.heard(&[Packet::Sent(1), Packet::Sent(2)], SECOND);
        patience.heard(&[Packet::Other], 299 * SECOND);
        assert!(!patience.never_acknowledged(&options()));
        patience.heard(&[Packet::Acked { pkid: 1, refusal: None }], SECOND);
        patience.heard(&[Packet::Other], 299 * SECOND);
        assert!(!patience.never_acknowledged(&options()), "one was");
        patience.heard(&[Packet::Other], 2 * SECOND);
        assert!(patience.never_acknowledged(&options()));
        patience.heard(&[Packet::Acked { pkid: 2, refusal: None }], SECOND);
        assert!(!patience.never_acknowledged(&options()));
    }
}

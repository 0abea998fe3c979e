//! Detects dead connections: silence beyond the keep-alive, and messages that stay unacknowledged for too long.
//!
//! Only the time spent reading counts: while the owner does not take messages, nothing is read.

use std::time::Duration;

use crate::Options;
use crate::link::Packet;

/// Extra time for a connection attempt to report its own time-out.
const GRACE: Duration = Duration::from_secs(1);

/// The times since the last signs of life of one connection.
#[derive(Debug, Default)]
pub(crate) struct ConnectionWatchdog {
    connected: bool,
    since_last_packet: Duration,
    unacknowledged_count: u32,
    /// The time since the last acknowledgement, while messages are unacknowledged.
    since_last_ack: Duration,
}

impl ConnectionWatchdog {
    /// How long to read before the connection counts as dead.
    pub(crate) fn time_left(&self, options: &Options) -> Duration {
        if self.connected {
            // rumqttc sends a ping per keep-alive interval, so a live broker is silent for at most that long.
            (options.keep_alive() * 3 / 2).saturating_sub(self.since_last_packet)
        } else {
            options.connect_timeout + GRACE
        }
    }

    /// Takes the packets that arrived after reading for `listened`.
    pub(crate) fn packets_received(&mut self, packets: &[Packet], listened: Duration) {
        self.since_last_packet += listened;
        self.since_last_ack += listened;
        for packet in packets {
            if packet.is_from_broker() {
                self.since_last_packet = Duration::ZERO;
            }
            match packet {
                Packet::Connected(_) => self.connected = true,
                Packet::Sent(_) => self.unacknowledged_count = self.unacknowledged_count.saturating_add(1),
                Packet::Acked { .. } => {
                    self.unacknowledged_count = self.unacknowledged_count.saturating_sub(1);
                    self.since_last_ack = Duration::ZERO;
                }
                _ => {}
            }
        }
        if self.unacknowledged_count == 0 {
            self.since_last_ack = Duration::ZERO;
        }
    }

    /// Whether the broker answers but acknowledges nothing.
    pub(crate) fn ack_timed_out(&self, options: &Options) -> bool {
        self.since_last_ack > options.ack_timeout
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

    fn connected() -> ConnectionWatchdog {
        let mut watchdog = ConnectionWatchdog::default();
        let connected = Connected { session_present: false, receive_maximum: 1, max_packet_size: 1 };
        watchdog.packets_received(&[Packet::Connected(connected)], SECOND);
        watchdog
    }

    #[test]
    fn silence_adds_up_to_one_and_a_half_keep_alives_whatever_we_send() {
        let mut watchdog = connected();
        assert_eq!(watchdog.time_left(&options()), 45 * SECOND);
        watchdog.packets_received(&[Packet::Sent(1)], 30 * SECOND);
        watchdog.packets_received(&[], 10 * SECOND);
        assert_eq!(watchdog.time_left(&options()), 5 * SECOND);
        watchdog.packets_received(&[Packet::Other], 4 * SECOND);
        assert_eq!(watchdog.time_left(&options()), 45 * SECOND);
    }

    #[test]
    fn a_broker_that_answers_pings_must_acknowledge_too() {
        let mut watchdog = connected();
        watchdog.packets_received(&[Packet::Other], 1000 * SECOND);
        assert!(!watchdog.ack_timed_out(&options()), "nothing was sent");
        watchdog.packets_received(&[Packet::Sent(1), Packet::Sent(2)], SECOND);
        watchdog.packets_received(&[Packet::Other], 299 * SECOND);
        assert!(!watchdog.ack_timed_out(&options()));
        watchdog.packets_received(&[Packet::Acked { pkid: 1, refusal: None }], SECOND);
        watchdog.packets_received(&[Packet::Other], 299 * SECOND);
        assert!(!watchdog.ack_timed_out(&options()), "one was");
        watchdog.packets_received(&[Packet::Other], 2 * SECOND);
        assert!(watchdog.ack_timed_out(&options()));
        watchdog.packets_received(&[Packet::Acked { pkid: 2, refusal: None }], SECOND);
        assert!(!watchdog.ack_timed_out(&options()));
    }
}

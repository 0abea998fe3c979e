//! Acknowledgements to publishers: in the order of their messages ([MQTT-4.6.0-2] and [MQTT-4.6.0-3]), and only once
//! each message is where it must be.

use std::collections::VecDeque;

use super::Engine;
use super::connection::{Connection, ConnectionKey, Outgoing};
use super::session::Inbound;
use crate::packet::{AckKind, Version, encode_ack};
use crate::reason::Reason;

/// Names a message that adapters must take before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AckToken {
    pub(crate) connection: ConnectionKey,
    serial: u32,
}

#[derive(Debug)]
struct PendingAck {
    kind: AckKind,
    packet_id: u16,
    reason: Reason,
    /// Adapters that have not taken the message yet.
    adapters: u16,
    /// The record that must be stored.
    position: Option<u64>,
}

/// The acknowledgements of one connection that wait.
#[derive(Debug, Default)]
pub(crate) struct PendingAcks {
    waiting: VecDeque<PendingAck>,
    /// Serial number of the first of `waiting`.
    first: u32,
}

impl PendingAcks {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn push(
        &mut self,
        connection: ConnectionKey,
        (kind, packet_id): (AckKind, u16),
        reason: Reason,
        position: Option<u64>,
        adapters: usize,
    ) -> AckToken {
        let serial = self.first.wrapping_add(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX));
        let adapters = u16::try_from(adapters).unwrap_or(u16::MAX);
        self.waiting.push_back(PendingAck { kind, packet_id, reason, adapters, position });
        AckToken { connection, serial }
    }

    fn get_mut(&mut self, token: AckToken) -> Option<&mut PendingAck> {
        self.waiting.get_mut(token.serial.wrapping_sub(self.first) as usize)
    }

    /// Whether the next acknowledgement waits for a record.
    fn waits_for_record(&self, stored: u64) -> bool {
        self.waiting.front().is_some_and(|ack| ack.position.is_some_and(|position| position > stored))
    }

    /// The next acknowledgement, if its message is where it must be.
    fn pop_ready(&mut self, stored: u64) -> Option<PendingAck> {
        let ready = self.waiting.front()?;
        if ready.adapters > 0 || ready.position.is_some_and(|position| position > stored) {
            return None;
        }
        self.first = self.first.wrapping_add(1);
        self.waiting.pop_front()
    }
}

impl Engine {
    /// An adapter has taken the message, or has not: then the connection ends without an acknowledgement, so that the
    /// client sends the message again.
    pub fn adapter_done(&mut self, token: AckToken, taken: bool) {
        let Some(connection) = self.connection_mut(token.connection) else { return };
        let Some(ack) = connection.acks.get_mut(token) else { return };
        if !taken {
            self.close_with(token.connection, Reason::UnspecifiedError, "an adapter did not take a message");
            return;
        }
        ack.adapters = ack.adapters.saturating_sub(1);
        if ack.adapters == 0 {
            if ack.kind == AckKind::Pubrec {
                let (packet_id, session) = (ack.packet_id, connection.session);
                let position = self.record_inbound(session, packet_id);
                if let Some(ack) =
                    self.connection_mut(token.connection).and_then(|one| one.acks.get_mut(token))
                {
                    ack.position = position.max(ack.position);
                }
            }
            self.release_acks(token.connection);
        }
    }

    /// Sends what may be sent.
    pub(crate) fn release_acks(&mut self, key: ConnectionKey) {
        let stored = self.log.stored();
        let mut sent = 0;
        while let Some(connection) = self.connection_mut(key) {
            let Some(ack) = connection.acks.pop_ready(stored) else { break };
            send_ack(connection, &ack);
            let session = connection.session;
            if ack.kind == AckKind::Puback {
                // Not counted.
            } else if ack.reason.code() >= 0x80 {
                connection.unfinished = connection.unfinished.saturating_sub(1);
            } else if let Some(session) = self.sessions.get_mut(session)
                && let Some(state) = session.inbound.get_mut(&ack.packet_id)
            {
                *state = Inbound::Acknowledged;
            }
            sent += 1;
        }
        if self.connection(key).is_some_and(|one| one.acks.waits_for_record(stored)) {
            self.log.wait(key);
        }
        if sent > 0 {
            self.stats.messages_sent += sent;
            self.wake(key);
        }
    }

    /// The records up to `position` are stored: acknowledges what waited for them.
    pub fn stored(&mut self, position: u64) {
        if !self.log.set_stored(position) {
            return;
        }
        for key in self.log.take_waiting() {
            self.release_acks(key);
        }
    }
}

fn send_ack(connection: &mut Connection, ack: &PendingAck) {
    let version = connection.version;
    if connection.is_internal {
        let (packet_id, reason) = (ack.packet_id, ack.reason);
        connection.outgoing.push_back(Outgoing::Acked { packet_id, reason });
        return;
    }
    connection.send_encoded(|out| encode_ack(out, version, ack.kind, ack.packet_id, ack.reason));
    debug_assert!(version == Version::V5 || ack.reason.code() < 0x80, "version 3 has no refusals");
}

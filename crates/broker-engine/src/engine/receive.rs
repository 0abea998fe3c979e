//! Packets of a client that is connected.

use super::connection::ConnectionKey;
use super::publish::{INBOUND_BYTES, Received};
use super::records::Record;
use super::session::Inbound;
use super::wills::Closed;
use super::{Engine, Now, SessionKey};
use crate::packet::{Ack, AckKind, Frame, Invalid, Packet, QoS, encode_ack, encode_pingresp};
use crate::reason::Reason;

/// What a packet did to its connection.
#[derive(Debug, Clone)]
pub enum Step {
    Next(Received),
    /// The client ended the connection, or the engine does: after the last output it must be closed.
    End(Closed),
}

/// Bytes of answers that wait for a client.
const MOST_ANSWERS: usize = 16 << 10;

impl Engine {
    /// Handles one packet. A packet that breaks the standard ends the connection.
    pub fn receive(&mut self, key: ConnectionKey, frame: Frame<'_>, now: Now) -> Step {
        let Some(connection) = self.connection_mut(key) else { return Step::End(Closed::Lost) };
        if connection.closing.is_some() {
            return Step::End(Closed::Lost);
        }
        connection.last_received = now;
        let version = connection.version;
        self.work += 1;
        self.stats.messages_received += 1;
        self.stats.bytes_received += frame.length as u64;
        let handled = Packet::decode(version, frame).and_then(|packet| self.handle(key, packet, now));
        handled.unwrap_or_else(|Invalid { reason, why }| {
            self.close_with(key, reason, why);
            Step::End(Closed::Lost)
        })
    }

    /// The bytes that came are no packet, or their packet is too large: ends the connection.
    pub fn receive_invalid(&mut self, key: ConnectionKey, invalid: Invalid) {
        self.close_with(key, invalid.reason, invalid.why);
    }

    /// Whether the caller should read more of this client: not while many of its messages wait to be acknowledged, or
    /// while it does not take its answers.
    #[must_use]
    pub fn wants_more(&self, key: ConnectionKey) -> bool {
        self.connection(key).is_some_and(|one| {
            one.acks.len() < usize::from(self.limits.in_flight) && one.answer_bytes < MOST_ANSWERS
        })
    }

    fn handle(&mut self, key: ConnectionKey, packet: Packet<'_>, now: Now) -> Result<Step, Invalid> {
        let Some(connection) = self.connection_mut(key) else { return Ok(Step::End(Closed::Lost)) };
        let session = connection.session;
        match packet {
            Packet::Publish(publish) => return self.on_publish(key, &publish, now).map(Step::Next),
            Packet::Ack(ack) => match ack.kind {
                AckKind::Puback => self.finish(session, ack, QoS::AtLeastOnce, now)?,
                AckKind::Pubrec => self.on_pubrec(key, session, ack, now)?,
                AckKind::Pubrel => self.on_pubrel(key, session, ack.packet_id),
                AckKind::Pubcomp => self.finish(session, ack, QoS::ExactlyOnce, now)?,
            },
            Packet::Subscribe(subscribe) => self.on_subscribe(key, &subscribe, now)?,
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(key, &unsubscribe)?,
            Packet::Pingreq => {
                connection.send_encoded(encode_pingresp);
                self.wake(key);
            }
            Packet::Disconnect(disconnect) => return self.on_disconnect(key, disconnect).map(Step::End),
            Packet::Auth => return Err(Invalid::protocol("AUTH without enhanced authentication")),
        }
        Ok(Step::Next(Received::Nothing))
    }

    /// PUBACK or PUBCOMP: the client has the message. One for an unknown packet is left alone: it may be a second answer to
    /// a message that was sent twice.
    fn finish(&mut self, key: SessionKey, ack: Ack, qos: QoS, now: Now) -> Result<(), Invalid> {
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let Some(index) = session.in_flight.iter().position(|one| one.packet_id == ack.packet_id) else {
            return Ok(());
        };
        let expected = session
            .in_flight
            .get(index)
            .is_some_and(|one| one.queued.qos == qos && (one.is_received || qos == QoS::AtLeastOnce));
        if !expected {
            return Err(Invalid::protocol("an acknowledgement of another QoS"));
        }
        if let Some(done) = session.in_flight.remove(index) {
            self.finish_delivery(key, &done.queued);
        }
        self.pump(key, now);
        self.continue_scans(key, now);
        Ok(())
    }

    fn on_pubrec(
        &mut self,
        key: ConnectionKey,
        session_key: SessionKey,
        ack: Ack,
        now: Now,
    ) -> Result<(), Invalid> {
        let Some(version) = self.connection(key).map(|one| one.version) else { return Ok(()) };
        let Some(session) = self.sessions.get_mut(session_key) else { return Ok(()) };
        let index = session.in_flight.iter().position(|one| one.packet_id == ack.packet_id);
        let mut reason = Reason::Success;
        match index.and_then(|index| session.in_flight.get_mut(index)) {
            // A refusal ends the message, known or not: no PUBREL follows it ([MQTT-4.3.3-4]).
            None if ack.code >= 0x80 => return Ok(()),
            None => reason = Reason::PacketIdentifierNotFound,
            Some(one) if one.queued.qos != QoS::ExactlyOnce => {
                return Err(Invalid::protocol("a PUBREC for a message of QoS 1"));
            }
            Some(_) if ack.code >= 0x80 => {
                if let Some(done) = index.and_then(|index| session.in_flight.remove(index)) {
                    self.finish_delivery(session_key, &done.queued);
                }
                self.pump(session_key, now);
                return Ok(());
            }
            Some(one) => {
                let is_new = !std::mem::replace(&mut one.is_received, true);
                let sequence = one.queued.sequence;
                if is_new {
                    self.record(session_key, |session| Record::PubrecReceived { session, sequence });
                }
            }
        }
        if let Some(connection) = self.connection_mut(key) {
            connection.send_encoded(|out| encode_ack(out, version, AckKind::Pubrel, ack.packet_id, reason));
            self.wake(key);
        }
        Ok(())
    }

    fn on_pubrel(&mut self, key: ConnectionKey, session_key: SessionKey, packet_id: u16) {
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let known = session.inbound.get(&packet_id).copied();
        // A PUBREL before its PUBREC is a fault of the client; the message stays until it is accepted.
        let released = known == Some(Inbound::Acknowledged) && session.inbound.remove(&packet_id).is_some();
        if released {
            self.release(session_key, INBOUND_BYTES);
            self.record(session_key, |session| Record::InboundReleased { session, packet_id });
        }
        if let Some(connection) = self.connection_mut(key) {
            let version = connection.version;
            if released {
                connection.unfinished = connection.unfinished.saturating_sub(1);
            }
            // Also for one that is not known: its PUBCOMP was lost.
            connection
                .send_encoded(|out| encode_ack(out, version, AckKind::Pubcomp, packet_id, Reason::Success));
            self.wake(key);
        }
    }
}

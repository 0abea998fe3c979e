//! MQTT 5: rumqttc's words to ours.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Filter, LastWill, Packet as Wire, PubAckReason, Publish, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as WireError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing};
use rustls::ClientConfig;

use crate::explain;
use crate::link::{self, Connected, Gone, LinkError, Packet, RawMessage, Refusal};
use crate::{Options, Qos, Session};

/// How many unacknowledged messages we let the broker have on the way to us.
const RECEIVE_MAXIMUM: u16 = 1024;

pub(crate) fn open(
    options: &Options,
    tls: Option<Arc<ClientConfig>>,
    clean: bool,
) -> (AsyncClient, EventLoop) {
    let mut mqtt = MqttOptions::new(&options.client_id, link::address(options), options.url.port());
    let expiry = match options.session {
        Session::Persistent { expiry } if !clean => u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX),
        _ => 0,
    };
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    mqtt.set_transport(link::transport(options, tls))
        .set_keep_alive(options.keep_alive())
        .set_connection_timeout(options.connect_timeout_secs())
        .set_network_options(network)
        .set_clean_start(expiry == 0)
        .set_session_expiry_interval(Some(expiry))
        .set_receive_maximum(Some(RECEIVE_MAXIMUM))
        .set_max_packet_size(Some(link::incoming_limit(options)))
        .set_outgoing_inflight_upper_limit(link::PACKET_IDS)
        .set_manual_acks(true);
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password.expose());
    }
    if let Some(will) = &options.last_will {
        let payload = will.payload.to_vec();
        mqtt.set_last_will(LastWill::new(&will.topic, payload, QoS::AtLeastOnce, will.retain, None));
    }
    AsyncClient::new(mqtt, link::REQUESTS)
}

pub(crate) fn subscribe(client: &AsyncClient, filters: &[(String, Qos)]) -> Result<(), Gone> {
    let filters = filters.iter().map(|(filter, qos)| Filter::new(filter.clone(), to_wire(*qos)));
    client.try_subscribe_many(filters).map_err(|_| Gone)
}

pub(crate) fn publish(client: &AsyncClient, topic: &str, payload: Bytes, retain: bool) -> Result<(), Gone> {
    client.try_publish(topic, QoS::AtLeastOnce, retain, payload).map_err(|_| Gone)
}

pub(crate) fn ack(client: &AsyncClient, pkid: u16, qos: Qos) -> Result<(), Gone> {
    // rumqttc reads nothing but these two of the message.
    let message = Publish { pkid, qos: to_wire(qos), ..Publish::default() };
    client.try_ack(&message).map_err(|_| Gone)
}

pub(crate) async fn poll(events: &mut EventLoop, packets: &mut Vec<Packet>) -> Result<(), LinkError> {
    let polled = events.poll().await;
    let ended = polled.map(|event| packets.extend(translate(event))).map_err(|error| explain_end(&error));
    // Also what was read before the connection broke.
    while let Some(event) = events.state.events.pop_front() {
        packets.extend(translate(event));
    }
    ended
}

fn translate(event: Event) -> Option<Packet> {
    Some(match event {
        Event::Incoming(Wire::Publish(message)) => Packet::Message(RawMessage {
            topic: message.topic,
            payload: message.payload,
            qos: from_wire(message.qos),
            dup: message.dup,
            retain: message.retain,
            pkid: message.pkid,
        }),
        Event::Incoming(Wire::PubAck(ack)) => {
            Packet::Acked { pkid: ack.pkid, refusal: publish_refusal(ack.reason) }
        }
        Event::Outgoing(Outgoing::Publish(pkid)) => Packet::Sent(pkid),
        Event::Incoming(Wire::ConnAck(connack)) => Packet::Connected(connected(&connack)),
        Event::Incoming(Wire::SubAck(suback)) => {
            Packet::Subscribed(suback.return_codes.iter().map(|code| subscribe_refusal(*code)).collect())
        }
        Event::Incoming(Wire::PubRec(_) | Wire::PubComp(_)) => Packet::Nonsense,
        Event::Incoming(_) => Packet::Other,
        Event::Outgoing(Outgoing::Disconnect) => Packet::Disconnected,
        Event::Outgoing(_) => return None,
    })
}

/// Sections 3.2.2.3.3 and 3.2.2.3.6: what is absent is not limited.
fn connected(connack: &ConnAck) -> Connected {
    let properties = connack.properties.as_ref();
    Connected {
        session_present: connack.session_present,
        receive_maximum: properties.and_then(|said| said.receive_max).unwrap_or(u16::MAX),
        max_packet_size: properties.and_then(|said| said.max_packet_size).unwrap_or(u32::MAX),
    }
}

fn to_wire(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn from_wire(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// Section 3.4.2.1.
fn publish_refusal(reason: PubAckReason) -> Option<Refusal> {
    let later = |reason| Some(Refusal { reason, permanent: false });
    let never = |reason| Some(Refusal { reason, permanent: true });
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        PubAckReason::NotAuthorized => later("the broker does not allow us to publish to this topic"),
        PubAckReason::QuotaExceeded => later("the broker's quota is used up"),
        PubAckReason::UnspecifiedError => later("the broker could not take it and gave no reason"),
        PubAckReason::ImplementationSpecificError => {
            later("the broker could not take it for reasons of its own")
        }
        PubAckReason::PacketIdentifierInUse => later("the broker still knows the packet id from before"),
        PubAckReason::TopicNameInvalid => never("the broker does not accept such a topic"),
        PubAckReason::PayloadFormatInvalid => never("the broker does not accept such a payload"),
    }
}

/// Section 3.9.3.
fn subscribe_refusal(code: SubscribeReasonCode) -> Option<&'static str> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::NotAuthorized => Some("the broker does not allow it"),
        SubscribeReasonCode::TopicFilterInvalid => Some("the broker does not accept such a filter"),
        SubscribeReasonCode::QuotaExceeded => Some("the broker's quota is used up"),
        SubscribeReasonCode::SharedSubscriptionsNotSupported => {
            Some("the broker has no shared subscriptions")
        }
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => Some("the broker takes no wildcards"),
        SubscribeReasonCode::Failure
        | SubscribeReasonCode::Unspecified
        | SubscribeReasonCode::ImplementationSpecific
        | SubscribeReasonCode::PkidInUse
        | SubscribeReasonCode::SubscriptionIdNotSupported => Some("the broker refused it and gave no reason"),
    }
}

fn explain_end(error: &ConnectionError) -> LinkError {
    let oversized = matches!(
        error,
        ConnectionError::MqttState(
            StateError::Deserialization(WireError::PayloadSizeLimitExceeded { .. })
                | StateError::IncomingPacketTooLarge { .. }
        )
    );
    let reason = match error {
        ConnectionError::ConnectionRefused(code) => connect_refusal(*code),
        ConnectionError::Timeout(_) => explain::NO_ANSWER.to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => explain::STALLED.to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => explain::CLOSED.to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.as_deref().unwrap_or("no further word");
            format!("the broker ended the connection: {reason_code:?} ({said})")
        }
        _ if oversized => explain::OVERSIZED.to_owned(),
        // It does not name this as its source.
        ConnectionError::MqttState(StateError::Deserialization(cause)) => explain::chain(cause),
        other => explain::chain(other),
    };
    LinkError { oversized, not_yet_valid: explain::NotYetValid::find(error), ..LinkError::new(reason) }
}

/// Section 3.2.2.2.
fn connect_refusal(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::BadUserNamePassword => explain::BAD_PASSWORD.to_owned(),
        ConnectReturnCode::NotAuthorized => explain::NOT_AUTHORISED.to_owned(),
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => {
            "the broker does not speak MQTT 5; set protocol = \"3.1.1\"".to_owned()
        }
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            explain::BAD_CLIENT_ID.to_owned()
        }
        ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServerBusy => explain::UNAVAILABLE.to_owned(),
        other => format!("the broker refused the connection: {other:?}"),
    }
}

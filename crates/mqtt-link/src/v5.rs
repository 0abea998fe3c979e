//! Translates between rumqttc's MQTT 5 types and those of [`crate::link`].

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Filter, LastWill, Packet as RumqttcPacket, PubAckReason, Publish,
    RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as CodecError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing};
use rustls::ClientConfig;

use crate::explain;
use crate::link::{self, Connected, ConnectionClosed, LinkError, Packet, RawMessage, Refusal};
use crate::{Options, Qos, Session};

/// The most messages the broker may have in flight to us.
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
    AsyncClient::new(mqtt, link::REQUEST_QUEUE)
}

pub(crate) fn subscribe(
    client: &AsyncClient,
    filters: &[(String, Qos)],
    is_bridge: bool,
) -> Result<(), ConnectionClosed> {
    let filters = filters.iter().map(|(filter, qos)| Filter {
        nolocal: is_bridge,
        preserve_retain: is_bridge,
        retain_forward_rule: match is_bridge {
            true => RetainForwardRule::OnNewSubscribe,
            false => RetainForwardRule::OnEverySubscribe,
        },
        ..Filter::new(filter.clone(), to_rumqttc(*qos))
    });
    client.try_subscribe_many(filters).map_err(|_| ConnectionClosed)
}

pub(crate) fn publish(
    client: &AsyncClient,
    topic: &str,
    payload: Bytes,
    retain: bool,
) -> Result<(), ConnectionClosed> {
    client.try_publish(topic, QoS::AtLeastOnce, retain, payload).map_err(|_| ConnectionClosed)
}

pub(crate) fn ack(client: &AsyncClient, pkid: u16, qos: Qos) -> Result<(), ConnectionClosed> {
    // rumqttc reads only these two fields.
    let message = Publish { pkid, qos: to_rumqttc(qos), ..Publish::default() };
    client.try_ack(&message).map_err(|_| ConnectionClosed)
}

pub(crate) async fn poll(events: &mut EventLoop, packets: &mut Vec<Packet>) -> Result<(), LinkError> {
    let polled = events.poll().await;
    let ended = polled.map(|event| packets.extend(translate(event))).map_err(|error| explain_error(&error));
    // Includes what was read before the connection ended.
    while let Some(event) = events.state.events.pop_front() {
        packets.extend(translate(event));
    }
    ended
}

fn translate(event: Event) -> Option<Packet> {
    Some(match event {
        Event::Incoming(RumqttcPacket::Publish(message)) => Packet::Message(RawMessage {
            topic: message.topic,
            payload: message.payload,
            qos: from_rumqttc(message.qos),
            dup: message.dup,
            retain: message.retain,
            pkid: message.pkid,
        }),
        Event::Incoming(RumqttcPacket::PubAck(ack)) => {
            Packet::Acked { pkid: ack.pkid, refusal: publish_refusal(ack.reason) }
        }
        Event::Outgoing(Outgoing::Publish(pkid)) => Packet::Sent(pkid),
        Event::Incoming(RumqttcPacket::ConnAck(connack)) => Packet::Connected(connected(&connack)),
        Event::Incoming(RumqttcPacket::SubAck(suback)) => {
            Packet::Subscribed(suback.return_codes.iter().map(|code| subscribe_refusal(*code)).collect())
        }
        Event::Incoming(RumqttcPacket::PubRec(_) | RumqttcPacket::PubComp(_)) => Packet::ProtocolViolation,
        Event::Incoming(_) => Packet::Other,
        Event::Outgoing(Outgoing::Disconnect) => Packet::Disconnected,
        Event::Outgoing(_) => return None,
    })
}

/// Sections 3.2.2.3.3 and 3.2.2.3.6: absent means unlimited.
fn connected(connack: &ConnAck) -> Connected {
    let properties = connack.properties.as_ref();
    Connected {
        session_present: connack.session_present,
        receive_maximum: properties.and_then(|properties| properties.receive_max).unwrap_or(u16::MAX),
        max_packet_size: properties.and_then(|properties| properties.max_packet_size).unwrap_or(u32::MAX),
    }
}

fn to_rumqttc(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn from_rumqttc(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// Section 3.4.2.1.
fn publish_refusal(reason: PubAckReason) -> Option<Refusal> {
    let later = |reason| Some(Refusal { reason, permanent: false, not_permitted: false });
    let never = |reason| Some(Refusal { reason, permanent: true, not_permitted: false });
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        PubAckReason::NotAuthorized => Some(Refusal {
            reason: "the broker does not allow us to publish to this topic",
            permanent: false,
            not_permitted: true,
        }),
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

fn explain_error(error: &ConnectionError) -> LinkError {
    let oversized = matches!(
        error,
        ConnectionError::MqttState(
            StateError::Deserialization(CodecError::PayloadSizeLimitExceeded { .. })
                | StateError::IncomingPacketTooLarge { .. }
        )
    );
    let reason = match error {
        ConnectionError::ConnectionRefused(code) => connect_refusal(*code),
        ConnectionError::Timeout(_) => explain::NO_ANSWER.to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => explain::STALLED.to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => explain::CLOSED.to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let reason = reason_string.as_deref().unwrap_or("no further word");
            format!("the broker ended the connection: {reason_code:?} ({reason})")
        }
        _ if oversized => explain::OVERSIZED.to_owned(),
        // rumqttc does not name it as the source.
        ConnectionError::MqttState(StateError::Deserialization(cause)) => explain::explain_error(cause),
        other => explain::explain_error(other),
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

//! Translates between rumqttc's MQTT 3.1.1 types and those of [`crate::link`].

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::mqttbytes::Error as CodecError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions,
    Outgoing, Packet as RumqttcPacket, Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};
use rustls::ClientConfig;

use crate::explain;
use crate::link::{self, Connected, ConnectionClosed, LinkError, Packet, RawMessage};
use crate::{Options, Qos, Session};

pub(crate) fn open(
    options: &Options,
    tls: Option<Arc<ClientConfig>>,
    clean: bool,
) -> (AsyncClient, EventLoop) {
    let mut mqtt = MqttOptions::new(&options.client_id, link::address(options), options.url.port());
    // rumqttc panics on a persistent session without a client id; the broker would reject it.
    let clean = clean || options.session == Session::Clean || options.client_id.is_empty();
    let incoming = usize::try_from(link::incoming_limit(options)).unwrap_or(usize::MAX);
    mqtt.set_transport(link::transport(options, tls))
        .set_keep_alive(options.keep_alive())
        .set_clean_session(clean)
        .set_max_packet_size(incoming, usize::MAX)
        .set_inflight(link::PACKET_IDS)
        .set_manual_acks(true);
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password.expose());
    }
    if let Some(will) = &options.last_will {
        mqtt.set_last_will(LastWill::new(&will.topic, will.payload.to_vec(), QoS::AtLeastOnce, will.retain));
    }
    let (client, mut events) = AsyncClient::new(mqtt, link::REQUEST_QUEUE);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(options.connect_timeout_secs());
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

pub(crate) fn subscribe(client: &AsyncClient, filters: &[(String, Qos)]) -> Result<(), ConnectionClosed> {
    let filters = filters.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), to_rumqttc(*qos)));
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
    let message = Publish { pkid, ..Publish::new("", to_rumqttc(qos), Vec::new()) };
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
            topic: Bytes::from(message.topic),
            payload: message.payload,
            qos: from_rumqttc(message.qos),
            dup: message.dup,
            retain: message.retain,
            pkid: message.pkid,
        }),
        Event::Incoming(RumqttcPacket::PubAck(ack)) => Packet::Acked { pkid: ack.pkid, refusal: None },
        Event::Outgoing(Outgoing::Publish(pkid)) => Packet::Sent(pkid),
        Event::Incoming(RumqttcPacket::ConnAck(connack)) => Packet::Connected(Connected {
            session_present: connack.session_present,
            receive_maximum: u16::MAX,
            max_packet_size: u32::MAX,
        }),
        Event::Incoming(RumqttcPacket::SubAck(suback)) => {
            let connect_refusal = |code: &_| match code {
                SubscribeReasonCode::Success(_) => None,
                SubscribeReasonCode::Failure => Some("the broker does not allow it"),
            };
            Packet::Subscribed(suback.return_codes.iter().map(connect_refusal).collect())
        }
        Event::Incoming(RumqttcPacket::PubRec(_) | RumqttcPacket::PubComp(_)) => Packet::ProtocolViolation,
        Event::Incoming(_) => Packet::Other,
        Event::Outgoing(Outgoing::Disconnect) => Packet::Disconnected,
        Event::Outgoing(_) => return None,
    })
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

fn explain_error(error: &ConnectionError) -> LinkError {
    let oversized = matches!(
        error,
        ConnectionError::MqttState(StateError::Deserialization(CodecError::PayloadSizeLimitExceeded(_)))
    );
    let reason = match error {
        ConnectionError::ConnectionRefused(code) => connect_refusal(*code).to_owned(),
        ConnectionError::NetworkTimeout => explain::NO_ANSWER.to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) | ConnectionError::FlushTimeout => {
            explain::STALLED.to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => explain::CLOSED.to_owned(),
        _ if oversized => explain::OVERSIZED.to_owned(),
        other => explain::explain_error(other),
    };
    LinkError { oversized, not_yet_valid: explain::NotYetValid::find(error), ..LinkError::new(reason) }
}

fn connect_refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::BadUserNamePassword => explain::BAD_PASSWORD,
        ConnectReturnCode::NotAuthorized => explain::NOT_AUTHORISED,
        ConnectReturnCode::RefusedProtocolVersion => {
            "the broker does not speak MQTT 3.1.1; set protocol = \"5\""
        }
        ConnectReturnCode::BadClientId => explain::BAD_CLIENT_ID,
        ConnectReturnCode::ServiceUnavailable => explain::UNAVAILABLE,
        ConnectReturnCode::Success => "the broker accepted and refused at once",
    }
}

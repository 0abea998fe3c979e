//! rumqttc's decoder and session for MQTT 3.1.1 on what a broker sends to a client with two messages under way.

use bytes::BytesMut;
use rumqttc::{MqttState, Packet, Publish, QoS, Request};

pub(crate) fn run(data: &[u8]) {
    let mut state = MqttState::new(64, true);
    for topic in ["a", "b"] {
        let message = Publish::new(topic, QoS::AtLeastOnce, "21.5");
        state.handle_outgoing_packet(Request::Publish(message)).expect("room for two");
    }
    let mut buffer = BytesMut::from(data);
    while let Ok(packet) = Packet::read(&mut buffer, riser_fuzz::LARGEST_PACKET) {
        if state.handle_incoming_packet(packet).is_err() {
            break;
        }
    }
    // As mqtt-link does when a connection has ended.
    state.clean();
}

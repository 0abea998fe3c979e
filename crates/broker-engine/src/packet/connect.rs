//! CONNECT: who wants to connect, with which session, limits and will (MQTT 5 and 3.1.1, section 3.1).

use super::properties::{self, Value, id};
use super::publish::MessageProperties;
use super::reader::Reader;
use super::{Invalid, QoS, Version};
use crate::reason::Reason;
use crate::topic::is_topic_name;

/// A decoded CONNECT. For 3.1 and 3.1.1, what only version 5 has is set to what these versions mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    pub version: Version,
    /// A bridge announces itself by bit 7 of the protocol level (mosquitto's `try_private`): nothing that it published
    /// itself comes back to it, and retained messages come with their retain flag.
    pub is_bridge: bool,
    pub clean_start: bool,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    pub client_id: &'a str,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub will: Option<Will<'a>>,
    /// Seconds that the session outlives the connection; `u32::MAX` is forever.
    pub session_expiry: u32,
    /// QoS 1 and 2 messages that the client takes at once, at least 1.
    pub receive_maximum: u16,
    /// Bytes of the largest packet that the client takes.
    pub maximum_packet_size: u32,
    /// Topic aliases that the client takes.
    pub topic_alias_maximum: u16,
    /// Whether reason strings and user properties may be added to answers.
    pub wants_problem_information: bool,
    /// The method of enhanced authentication.
    pub authentication_method: Option<&'a str>,
}

/// The message to be published if the connection is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub retain: bool,
    pub properties: WillProperties<'a>,
}

/// What version 5 adds to a will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WillProperties<'a> {
    /// Seconds between the loss of the connection and the will.
    pub delay: u32,
    pub message: MessageProperties<'a>,
}

/// Decodes the body of a CONNECT.
///
/// # Errors
/// The packet breaks the standard. The version is told if it was read, because the answer depends on it.
pub fn decode_connect(body: &[u8]) -> Result<Connect<'_>, (Option<Version>, Invalid)> {
    let mut reader = Reader::new(body);
    let (version, is_bridge) = version(&mut reader)?;
    connect(version, is_bridge, reader).map_err(|invalid| (Some(version), invalid))
}

fn version(reader: &mut Reader<'_>) -> Result<(Version, bool), (Option<Version>, Invalid)> {
    let unknown = |invalid| (None, invalid);
    let name = reader.text().map_err(unknown)?;
    let level = reader.byte().map_err(unknown)?;
    let version = match (name, level & 0x7F) {
        ("MQIsdp", 3) => Version::V31,
        ("MQTT", 4) => Version::V311,
        ("MQTT", 5) => Version::V5,
        ("MQTT" | "MQIsdp", level) => {
            let invalid =
                Invalid { reason: Reason::UnsupportedProtocolVersion, why: "an unknown protocol level" };
            return Err((Some(if level > 5 { Version::V5 } else { Version::V311 }), invalid));
        }
        _ => return Err(unknown(Invalid::malformed("the protocol is not MQTT"))),
    };
    Ok((version, level & 0x80 != 0 && version != Version::V5))
}

fn connect<'a>(version: Version, is_bridge: bool, mut reader: Reader<'a>) -> Result<Connect<'a>, Invalid> {
    let flags = reader.byte()?;
    // 3.1 does not say that it is 0.
    if flags & 1 != 0 && version != Version::V31 {
        return Err(Invalid::malformed("the reserved flag of CONNECT is set"));
    }
    let clean_start = flags & 2 != 0;
    let keep_alive = reader.u16()?;
    let mut connect = Connect {
        version,
        is_bridge,
        clean_start,
        keep_alive,
        client_id: "",
        user: None,
        password: None,
        will: None,
        session_expiry: if clean_start { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        maximum_packet_size: u32::MAX,
        topic_alias_maximum: 0,
        wants_problem_information: true,
        authentication_method: None,
    };
    if version == Version::V5 {
        connect.session_expiry = 0;
        connect_properties(&mut connect, reader.properties()?)?;
    }
    connect.client_id = reader.text()?;
    connect.will = will(version, flags, &mut reader)?;
    if flags & 0x80 != 0 {
        connect.user = Some(reader.text()?);
    }
    if flags & 0x40 != 0 {
        // [MQTT-3.1.2-22] of 3.1.1; version 5 permits a password alone.
        if connect.user.is_none() && version != Version::V5 {
            return Err(Invalid::malformed("a password without a user name"));
        }
        connect.password = Some(reader.binary()?);
    }
    if reader.is_empty() { Ok(connect) } else { Err(Invalid::malformed("CONNECT is longer than its fields")) }
}

fn connect_properties<'a>(connect: &mut Connect<'a>, reader: Reader<'a>) -> Result<(), Invalid> {
    const ALLOWED: &[u8] = &[
        id::SESSION_EXPIRY,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_PACKET_SIZE,
        id::TOPIC_ALIAS_MAXIMUM,
        id::REQUEST_RESPONSE_INFO,
        id::REQUEST_PROBLEM_INFO,
        id::USER_PROPERTY,
        id::AUTH_METHOD,
        id::AUTH_DATA,
    ];
    let mut has_auth_data = false;
    properties::each(reader, ALLOWED, |id, value, _| {
        match (id, value) {
            (id::SESSION_EXPIRY, Value::Long(seconds)) => connect.session_expiry = seconds,
            (id::RECEIVE_MAXIMUM, Value::Short(0)) => return Err(Invalid::protocol("Receive Maximum is 0")),
            (id::RECEIVE_MAXIMUM, Value::Short(maximum)) => connect.receive_maximum = maximum,
            (id::MAXIMUM_PACKET_SIZE, Value::Long(0)) => {
                return Err(Invalid::protocol("Maximum Packet Size is 0"));
            }
            (id::MAXIMUM_PACKET_SIZE, Value::Long(size)) => connect.maximum_packet_size = size,
            (id::TOPIC_ALIAS_MAXIMUM, Value::Short(maximum)) => connect.topic_alias_maximum = maximum,
            (id::REQUEST_PROBLEM_INFO, Value::Byte(byte)) => {
                connect.wants_problem_information = properties::flag(byte)?;
            }
            (id::REQUEST_RESPONSE_INFO, Value::Byte(byte)) => {
                properties::flag(byte)?;
            }
            (id::AUTH_METHOD, Value::Text(method)) => connect.authentication_method = Some(method),
            (id::AUTH_DATA, _) => has_auth_data = true,
            _ => {}
        }
        Ok(())
    })?;
    if has_auth_data && connect.authentication_method.is_none() {
        return Err(Invalid::protocol("Authentication Data without a method"));
    }
    Ok(())
}

fn will<'a>(version: Version, flags: u8, reader: &mut Reader<'a>) -> Result<Option<Will<'a>>, Invalid> {
    let Some(qos) = QoS::from_bits(flags >> 3 & 3) else {
        return Err(Invalid::malformed("the will's QoS is 3"));
    };
    let retain = flags & 0x20 != 0;
    if flags & 4 == 0 {
        let none = qos == QoS::AtMostOnce && !retain;
        return if none { Ok(None) } else { Err(Invalid::malformed("will flags without a will")) };
    }
    let properties = if version == Version::V5 {
        MessageProperties::decode_will(reader.properties()?)?
    } else {
        WillProperties::default()
    };
    let topic = reader.text()?;
    if !is_topic_name(topic) {
        return Err(Invalid { reason: Reason::TopicNameInvalid, why: "the will's topic is no topic name" });
    }
    let payload = reader.binary()?;
    Ok(Some(Will { topic, payload, qos, retain, properties }))
}

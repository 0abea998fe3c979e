//! PUBLISH, and the properties of a message (MQTT 5, sections 3.3 and 3.1.3.2).

use super::connect::WillProperties;
use super::properties::{self, Value, id};
use super::reader::Reader;
use super::{Invalid, QoS, Version};
use crate::reason::Reason;
use crate::topic::is_topic_name;

/// A message as a client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    /// Empty: the topic of the alias in `properties`.
    pub topic: &'a str,
    /// 0 at QoS 0.
    pub packet_id: u16,
    pub properties: MessageProperties<'a>,
    pub payload: &'a [u8],
}

/// The properties of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageProperties<'a> {
    /// Seconds until the message is of no use any more.
    pub expiry: Option<u32>,
    /// Stands for the topic; 1 and up.
    pub topic_alias: Option<u16>,
    /// All properties, as they were sent.
    all: &'a [u8],
    /// What of `all` is not passed on: at most the expiry, the alias and the will's delay.
    left_out: [(usize, usize); 3],
}

/// What a message may have besides: it is passed on as it is ([MQTT-3.3.2-4] and following).
const PASSED_ON: [u8; 5] =
    [id::PAYLOAD_FORMAT, id::CONTENT_TYPE, id::RESPONSE_TOPIC, id::CORRELATION_DATA, id::USER_PROPERTY];

impl<'a> Publish<'a> {
    pub(super) fn decode(version: Version, flags: u8, body: &'a [u8]) -> Result<Self, Invalid> {
        let Some(qos) = QoS::from_bits(flags >> 1 & 3) else {
            return Err(Invalid::malformed("QoS 3"));
        };
        let (dup, retain) = (flags & 8 != 0, flags & 1 != 0);
        if dup && qos == QoS::AtMostOnce {
            return Err(Invalid::malformed("DUP at QoS 0"));
        }
        let mut reader = Reader::new(body);
        let topic = reader.text()?;
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { reader.packet_id()? };
        let properties = if version == Version::V5 {
            MessageProperties::decode(reader.properties()?)?
        } else {
            MessageProperties::default()
        };
        if topic.is_empty() && properties.topic_alias.is_none() {
            let invalid = Invalid::protocol("neither topic nor topic alias");
            return Err(if version == Version::V5 { invalid } else { Invalid::malformed(invalid.why) });
        }
        if !topic.is_empty() && !is_topic_name(topic) {
            let why = "a topic name with a wildcard or too many levels";
            return Err(Invalid { reason: Reason::TopicNameInvalid, why });
        }
        Ok(Self { dup, qos, retain, topic, packet_id, properties, payload: reader.rest() })
    }
}

impl<'a> MessageProperties<'a> {
    fn decode(reader: Reader<'a>) -> Result<Self, Invalid> {
        let mut allowed = [id::MESSAGE_EXPIRY, id::TOPIC_ALIAS, 0, 0, 0, 0, 0];
        allowed.iter_mut().skip(2).zip(PASSED_ON).for_each(|(slot, id)| *slot = id);
        let (message, _delay) = Self::read(reader, &allowed)?;
        Ok(message)
    }

    pub(super) fn decode_will(reader: Reader<'a>) -> Result<WillProperties<'a>, Invalid> {
        let mut allowed = [id::MESSAGE_EXPIRY, id::WILL_DELAY, 0, 0, 0, 0, 0];
        allowed.iter_mut().skip(2).zip(PASSED_ON).for_each(|(slot, id)| *slot = id);
        let (message, delay) = Self::read(reader, &allowed)?;
        Ok(WillProperties { delay, message })
    }

    fn read(reader: Reader<'a>, allowed: &[u8]) -> Result<(Self, u32), Invalid> {
        let mut read = Self { all: reader.rest(), ..Self::default() };
        let (mut delay, mut end, mut left_out) = (0, 0, 0);
        properties::each(reader, allowed, |id, value, bytes| {
            end += bytes.len();
            match (id, value) {
                (id::MESSAGE_EXPIRY, Value::Long(seconds)) => read.expiry = Some(seconds),
                (id::TOPIC_ALIAS, Value::Short(alias)) => read.topic_alias = Some(alias),
                (id::WILL_DELAY, Value::Long(seconds)) => delay = seconds,
                (id::PAYLOAD_FORMAT, Value::Byte(byte)) => {
                    properties::flag(byte)?;
                }
                (id::RESPONSE_TOPIC, Value::Text(topic)) if !is_topic_name(topic) => {
                    return Err(Invalid::protocol("the response topic is no topic name"));
                }
                _ => {}
            }
            if !PASSED_ON.contains(&id)
                && let Some(slot) = read.left_out.get_mut(left_out)
            {
                *slot = (end - bytes.len(), end);
                left_out += 1;
            }
            Ok(())
        })?;
        Ok((read, delay))
    }

    /// What is passed on with the message, encoded, in up to four pieces.
    pub fn passed_on(&self) -> impl Iterator<Item = &'a [u8]> {
        let (all, left_out) = (self.all, self.left_out);
        let mut start = 0;
        let pieces = left_out.into_iter().filter(|(from, to)| from < to).map(move |(from, to)| {
            let piece = all.get(start..from).unwrap_or_default();
            start = to;
            piece
        });
        let last = left_out.into_iter().map(|(_, to)| to).max().unwrap_or_default();
        pieces.chain(all.get(last..)).filter(|piece| !piece.is_empty())
    }
}

//! Chooses the codec of a payload by its content format or, without one, by its first byte.

use coap_link::{Code, ContentFormat, Response};
use gateway_core::CodecId;

/// The codec of each content format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codecs {
    /// One number as text.
    pub value: CodecId,
    /// JSON.
    pub json: CodecId,
    /// CBOR.
    pub cbor: CodecId,
    /// SenML, in JSON and in CBOR.
    pub senml: CodecId,
    /// A frame of our own firmware.
    pub node: CodecId,
}

impl Codecs {
    /// The codec for a payload, or the error response to its sender.
    ///
    /// `own`: the device has its own codec, which reads all its payloads.
    pub(super) fn choose(
        &self,
        format: Option<ContentFormat>,
        payload: &[u8],
        names_metric: bool,
        own: bool,
    ) -> Result<CodecId, Response> {
        if payload.is_empty() {
            return Err(Response::error(Code::BAD_REQUEST, "the payload is empty"));
        }
        match format {
            _ if own => Ok(self.json),
            Some(ContentFormat::JSON) => Ok(self.json),
            Some(ContentFormat::CBOR) => Ok(self.cbor),
            Some(ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR) => Ok(self.senml),
            // Its fields name their metrics, so the path must not.
            Some(ContentFormat::OCTETS) if !names_metric => Ok(self.node),
            None | Some(ContentFormat::TEXT) => self.by_beginning(payload, names_metric),
            Some(ContentFormat(number)) => {
                let read = if names_metric { "0, 50" } else { "0, 42, 50" };
                Err(Response::error(
                    Code::UNSUPPORTED_CONTENT_FORMAT,
                    format!("content format {number} is not read here: {read}, 60, 110 and 112 are"),
                ))
            }
        }
    }

    /// Some clients send no content format, and some send `text/plain` for all payloads.
    fn by_beginning(&self, payload: &[u8], names_metric: bool) -> Result<CodecId, Response> {
        match payload.trim_ascii_start().first() {
            Some(b'{') => Ok(self.json),
            // A list is SenML by custom; a list of objects needs its content format, 50.
            Some(b'[') => Ok(self.senml),
            // A CBOR map, a CBOR list: no text begins so.
            Some(0xa0..=0xbf) => Ok(self.cbor),
            Some(0x80..=0x9f) => Ok(self.senml),
            _ if names_metric => Ok(self.value),
            _ => Err(Response::error(
                Code::BAD_REQUEST,
                "neither an object nor SenML; a number goes to /sensors/{device}/{metric}",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: Codecs =
        Codecs { value: CodecId(0), json: CodecId(1), cbor: CodecId(2), senml: CodecId(3), node: CodecId(4) };

    fn chosen(format: Option<u16>, payload: &[u8], names_metric: bool) -> Result<u16, Code> {
        let chosen = CODECS.choose(format.map(ContentFormat), payload, names_metric, false);
        chosen.map(|codec| codec.0).map_err(|response| response.code)
    }

    #[test]
    fn a_content_format_decides_and_without_one_the_beginning() {
        assert_eq!(chosen(Some(50), b"21.5", true), Ok(1));
        assert_eq!(chosen(Some(60), b"{", false), Ok(2));
        assert_eq!(chosen(Some(110), b"[]", false), Ok(3));
        assert_eq!(chosen(Some(112), b"\x81", false), Ok(3));
        assert_eq!(chosen(None, b" {}", false), Ok(1));
        assert_eq!(chosen(Some(0), b"[{}]", false), Ok(3));
        assert_eq!(chosen(None, b"\xa1", false), Ok(2));
        assert_eq!(chosen(None, b"\x81", false), Ok(3));
        assert_eq!(chosen(Some(0), b"21.5", true), Ok(0));
        assert_eq!(chosen(Some(0), b"21.5", false), Err(Code::BAD_REQUEST));
        assert_eq!(chosen(None, b"", true), Err(Code::BAD_REQUEST));
        assert_eq!(chosen(Some(42), b"{", false), Ok(4));
        assert_eq!(chosen(Some(42), b"{", true), Err(Code::UNSUPPORTED_CONTENT_FORMAT));
        assert_eq!(chosen(Some(41), b"x", false), Err(Code::UNSUPPORTED_CONTENT_FORMAT));
        assert_eq!(CODECS.choose(Some(ContentFormat::OCTETS), b"x", false, true).map(|codec| codec.0), Ok(1));
    }
}

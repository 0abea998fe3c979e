//! One CoAP exchange of a node (RFC 7252): a confirmable POST of a frame, and what its answer means. Without sockets.
//!
//! The sender repeats the same bytes after [`RETRY_SECONDS`] until an answer is there, and counts the delivery as failed after
//! the last.

/// Seconds to wait for an answer after each sending (RFC 7252 section 4.2, without the random factor: one node is no crowd, and
/// its back-off has jitter).
pub const RETRY_SECONDS: [u32; 4] = [2, 4, 8, 16];

/// The content format of node frames: `application/octet-stream` (RFC 7252 section 12.3).
const OCTET_STREAM: u8 = 42;

const CONFIRMABLE: u8 = 0;
const NON_CONFIRMABLE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 2;
const RESET: u8 = 3;
const VERSION: u8 = 1;
const POST: u8 = 0x02;
const URI_PATH: u8 = 11;
const CONTENT_FORMAT: u8 = 12;
const UNAUTHORIZED: u8 = 0x81;
const FORBIDDEN: u8 = 0x83;
const NOT_FOUND: u8 = 0x84;

/// Which exchange a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Another for each request.
    pub message_id: u16,
    /// By chance, another for each request.
    pub token: [u8; 4],
}

/// What a message means to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2.xx: the gateway has the frame.
    Taken,
    /// Another 4.xx: it will never take the frame. The code, for example 0x80 for 4.00.
    Refused(u8),
    /// 5.xx, 4.01, 4.03, 4.04 or a reset: not now. What the gateway lacks to take it, a key or a name, its owner can give it.
    Failed,
    /// The answer comes in a message of its own, later.
    Later,
}

impl Exchange {
    /// Writes the request: the path's segments, and the frame. Returns its length; `None` if it does not fit.
    pub fn post(self, path: &str, frame: &[u8], out: &mut [u8]) -> Option<usize> {
        let [id_high, id_low] = self.message_id.to_be_bytes();
        let mut length = 0;
        let mut write = |bytes: &[u8]| {
            out.get_mut(length..length + bytes.len())?.copy_from_slice(bytes);
            length += bytes.len();
            Some(())
        };
        write(&[VERSION << 6 | CONFIRMABLE << 4 | self.token.len() as u8, POST, id_high, id_low])?;
        write(&self.token)?;
        let mut delta = URI_PATH;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let short = u8::try_from(segment.len()).ok()?;
            if short < 13 {
                write(&[delta << 4 | short])?;
            } else {
                // One more byte for lengths from 13 to 268 (RFC 7252 section 3.1).
                write(&[delta << 4 | 13, short - 13])?;
            }
            write(segment.as_bytes())?;
            delta = 0;
        }
        let delta = if delta == 0 { CONTENT_FORMAT - URI_PATH } else { CONTENT_FORMAT };
        write(&[delta << 4 | 1, OCTET_STREAM, 0xff])?;
        write(frame)?;
        Some(length)
    }

    /// What a message that came means; `None` if it belongs to something else.
    #[must_use]
    pub fn answer(self, message: &[u8]) -> Option<Answer> {
        let ([head, code, id @ ..], rest) = message.split_first_chunk::<4>()?;
        if head >> 6 != VERSION {
            return None;
        }
        let kind = head >> 4 & 0b11;
        let is_same_id = u16::from_be_bytes(*id) == self.message_id;
        match (kind, *code) {
            (RESET, 0) if is_same_id => return Some(Answer::Failed),
            (ACKNOWLEDGEMENT, 0) if is_same_id => return Some(Answer::Later),
            (ACKNOWLEDGEMENT, _) if !is_same_id => return None,
            (CONFIRMABLE | NON_CONFIRMABLE | ACKNOWLEDGEMENT, 1..) => {}
            _ => return None,
        }
        let token = rest.get(..usize::from(head & 0x0f))?;
        if token != self.token {
            return None;
        }
        match code >> 5 {
            2 => Some(Answer::Taken),
            4 if matches!(*code, UNAUTHORIZED | FORBIDDEN | NOT_FOUND) => Some(Answer::Failed),
            4 => Some(Answer::Refused(*code)),
            5 => Some(Answer::Failed),
            _ => None,
        }
    }

    /// The acknowledgement that a confirmable answer of its own wants; `None` if the message is none.
    #[must_use]
    pub fn acknowledge(message: &[u8]) -> Option<[u8; 4]> {
        let [head, _, id_high, id_low] = *message.first_chunk()?;
        let is_confirmable = head >> 4 & 0b11 == CONFIRMABLE;
        is_confirmable.then_some([VERSION << 6 | ACKNOWLEDGEMENT << 4, 0, id_high, id_low])
    }
}

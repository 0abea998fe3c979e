//! The time of day from a time server: a request and its answer of SNTP (RFC 4330), without sockets.

/// How long a request and an answer are.
pub const LENGTH: usize = 48;

/// From 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX: u32 = 2_208_988_800;

/// No leap warning, version 4, client.
const CLIENT: u8 = 0x23;
const MODE: u8 = 0x07;
const SERVER: u8 = 4;

/// A request. `nonce` stands where a client's time may be, and the answer has it again.
#[must_use]
pub fn request(nonce: u64) -> [u8; LENGTH] {
    let mut request = [0; LENGTH];
    let (head, transmit) = request.split_at_mut(LENGTH - 8);
    if let Some(first) = head.first_mut() {
        *first = CLIENT;
    }
    transmit.copy_from_slice(&nonce.to_be_bytes());
    request
}

/// The time of an answer in seconds since 1970-01-01 UTC; `None` if it answers another request, or the server does not know the
/// time itself.
#[must_use]
pub fn unix_time(answer: &[u8], nonce: u64) -> Option<u32> {
    let answer = answer.first_chunk::<LENGTH>()?;
    let [first, stratum, ..] = *answer;
    let originate = answer.get(24..32)?;
    let is_answer = first & MODE == SERVER && originate == nonce.to_be_bytes();
    // Leap indicator 3: not synchronised. Stratum 0: a refusal.
    if !is_answer || first >> 6 == 3 || !(1..=15).contains(&stratum) {
        return None;
    }
    let seconds = u32::from_be_bytes(*answer.get(40..)?.first_chunk()?);
    // Wraps into the NTP era that begins in 2036, as RFC 4330 section 3 says.
    (seconds != 0).then(|| seconds.wrapping_sub(NTP_TO_UNIX))
}

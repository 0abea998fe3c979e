//! The embedded broker's decoder (crate mqtt5) on what a client sends: the first byte chooses the protocol version.

use bytes::BytesMut;
use mqtt5::transport::packet_io::decode_buffered_packet;

pub(crate) fn run(data: &[u8]) {
    let Some((version, packets)) = data.split_first() else { return };
    let mut buffer = BytesMut::from(packets);
    let mut left = buffer.len();
    while let Ok(Some(packet)) =
        decode_buffered_packet(&mut buffer, 3 + version % 3, riser_fuzz::LARGEST_PACKET)
    {
        let _ = format!("{packet:?}");
        assert!(buffer.len() < left, "a packet has at least one byte");
        left = buffer.len();
    }
}

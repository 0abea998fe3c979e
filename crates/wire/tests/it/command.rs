//! The bytes of commands, both ways.

use wire::command::{Command, decode, encode};
use wire::{Channel, EncodeError, Quantity, Tag};

#[test]
fn the_bytes_of_commands_are_these() {
    let co2 = Tag { quantity: Quantity::Co2, channel: Channel::new(1).unwrap() };
    let commands = [Command::Interval(600), Command::Threshold { tag: co2, raw: 50 }, Command::Reboot];
    let bytes = [4, 1, 0x02, 0x58, 2, 0x24, 0, 0, 0, 50, 3];
    let mut buffer = [0; 11];
    assert_eq!(encode(&commands, &mut buffer), Ok(11));
    assert_eq!(buffer, bytes);
    assert_eq!(decode(&bytes).collect::<Vec<_>>(), commands);
    assert_eq!(encode(&commands, &mut buffer[..10]), Err(EncodeError::Full));
}

#[test]
fn what_a_node_does_not_know_ends_the_commands() {
    assert_eq!(decode(&[4, 3, 9, 1, 0, 60]).collect::<Vec<_>>(), [Command::Reboot]);
    for frame in [&[][..], &[1, 3], &[4], &[4, 1, 0], &[4, 2, 1, 0, 0, 0], &[4, 2, 0x1f, 0, 0, 0, 1]] {
        assert_eq!(decode(frame).count(), 0, "{frame:02x?}");
    }
}

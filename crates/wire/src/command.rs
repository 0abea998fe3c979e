//! Commands, from the gateway to a node: `04`, then one or more commands, each a byte and its numbers.
//!
//! | bytes | command |
//! |---|---|
//! | `01`, u16 | measure every so many seconds; 0: as the node was built |
//! | `02`, tag, u32 | report a quantity when it changed by at least so much, in the tag's units; 0: at every measurement |
//! | `03` | restart |
//!
//! Commands that a node does not know end the frame: those before it are carried out.

use crate::{COMMANDS, EncodeError, Tag};

/// What a node is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Measure every so many seconds; 0: as the node was built.
    Interval(u16),
    /// Report a quantity when it changed by at least so much.
    Threshold {
        /// Which sensor.
        tag: Tag,
        /// In units of 1/[`Quantity::divisor`](crate::Quantity::divisor); 0: at every measurement.
        raw: u32,
    },
    /// Restart; what is stored is kept.
    Reboot,
}

const INTERVAL: u8 = 1;
const THRESHOLD: u8 = 2;
const REBOOT: u8 = 3;

/// Writes commands into `buffer` and returns how many bytes they take.
///
/// # Errors
/// [`EncodeError::Full`] if the buffer is too short.
pub fn encode(commands: &[Command], buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let mut length = 0;
    let mut write = |bytes: &[u8]| {
        let slot = buffer.get_mut(length..length + bytes.len()).ok_or(EncodeError::Full)?;
        slot.copy_from_slice(bytes);
        length += bytes.len();
        Ok(())
    };
    write(&[COMMANDS])?;
    for command in commands {
        match *command {
            Command::Interval(seconds) => {
                let [high, low] = seconds.to_be_bytes();
                write(&[INTERVAL, high, low])?;
            }
            Command::Threshold { tag, raw } => {
                write(&[THRESHOLD, tag.to_byte()])?;
                write(&raw.to_be_bytes())?;
            }
            Command::Reboot => write(&[REBOOT])?,
        }
    }
    Ok(length)
}

/// The commands of a frame, in order; none if it is no frame of commands.
pub fn decode(frame: &[u8]) -> impl Iterator<Item = Command> {
    let mut rest = frame.strip_prefix(&[COMMANDS]).unwrap_or_default();
    core::iter::from_fn(move || {
        let (command, after) = next(rest)?;
        rest = after;
        Some(command)
    })
}

fn next(bytes: &[u8]) -> Option<(Command, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    match *kind {
        INTERVAL => {
            let (seconds, rest) = rest.split_first_chunk()?;
            Some((Command::Interval(u16::from_be_bytes(*seconds)), rest))
        }
        THRESHOLD => {
            let (tag, rest) = rest.split_first()?;
            let (raw, rest) = rest.split_first_chunk()?;
            Some((Command::Threshold { tag: Tag::from_byte(*tag)?, raw: u32::from_be_bytes(*raw) }, rest))
        }
        REBOOT => Some((Command::Reboot, rest)),
        _ => None,
    }
}

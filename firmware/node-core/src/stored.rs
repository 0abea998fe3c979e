//! What waits in the store, and the frame that it becomes when it is sent.
//!
//! A stored item is the life of the node in which it was measured (u16) and a batch of `wire`. If the node knew the time of day,
//! the batch has it; if not, its age field holds the seconds from the start of that life to the measurement, and the age is
//! computed when the frame is sent. An item of an earlier life is at least as old as the present one.

use wire::{Base, Encoder, Item, decode, rebase};

/// The longest frame that a node makes: what LoRaWAN carries at its highest data rates.
pub(crate) const MAX_FRAME: usize = 222;
pub(crate) const MAX_STORED: usize = LIFE + MAX_FRAME;
pub(crate) const LIFE: usize = 2;

/// A single record so fresh needs no time: that of its arrival is as good.
const FRESH_SECONDS: u32 = 5;

/// Now, as the node knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) life: u16,
    /// Seconds since the start.
    pub(crate) uptime: u32,
    pub(crate) unix_time: Option<u32>,
}

/// Writes the frame of a stored item; `None` if the item is damaged.
pub(crate) fn frame(stored: &[u8], now: Now, out: &mut [u8; MAX_FRAME]) -> Option<usize> {
    let (life, batch) = stored.split_first_chunk::<LIFE>()?;
    let mut items = decode(batch).ok()?;
    let (Some(Ok(Item::Sequence(sequence))), Some(Ok(first))) = (items.next(), items.next()) else {
        return None;
    };
    let base = match first {
        Item::Time(time) => Base::Time(time),
        Item::Age(measured_at) if u16::from_be_bytes(*life) == now.life => {
            by_age(now.uptime.saturating_sub(measured_at), now)
        }
        Item::Age(_) => by_age(now.uptime.saturating_add(span(batch)), now),
        _ => return None,
    };
    let is_single = items.clone().all(|item| matches!(item, Ok(Item::Reading(_))));
    if !is_single {
        let frame = out.get_mut(..batch.len())?;
        frame.copy_from_slice(batch);
        rebase(frame, base).ok()?;
        return Some(frame.len());
    }
    let mut encoder = Encoder::new(out).ok()?;
    encoder.sequence(sequence).ok()?;
    match base {
        _ if is_fresh(base, now) => {}
        Base::Age(seconds) => _ = encoder.age(seconds).ok()?,
        Base::Time(seconds) => _ = encoder.time(seconds).ok()?,
    }
    for item in items {
        let Ok(Item::Reading(reading)) = item else { return None };
        encoder.put(reading).ok()?;
    }
    Some(encoder.finish().len())
}

const fn by_age(age: u32, now: Now) -> Base {
    match now.unix_time {
        Some(time) => Base::Time(time.saturating_sub(age)),
        None => Base::Age(age),
    }
}

fn is_fresh(base: Base, now: Now) -> bool {
    let age = match base {
        Base::Age(age) => Some(age),
        Base::Time(time) => now.unix_time.and_then(|now| now.checked_sub(time)),
    };
    age.is_some_and(|age| age <= FRESH_SECONDS)
}

/// Seconds from the first record to the last.
fn span(batch: &[u8]) -> u32 {
    let mut copy = [0; MAX_FRAME];
    let Some(copy) = copy.get_mut(..batch.len()) else { return 0 };
    copy.copy_from_slice(batch);
    if rebase(copy, Base::Age(u32::MAX)).is_err() {
        return 0;
    }
    let ages = decode(copy).into_iter().flatten().flatten();
    let last = ages.filter_map(|item| if let Item::Age(age) = item { Some(age) } else { None }).last();
    last.map_or(0, |age| u32::MAX - age)
}

//! When something happened, where the clock was set or the gateway received nothing.

use std::time::Duration;

use gateway_core::Timestamp;

/// A gateway that was gone for longer than this was away. A shorter gap lengthens no device's silence.
pub(crate) const AWAY: Duration = Duration::from_secs(2);

/// What waited while the clock was set from `old` to `new` arrived by the clock that it is nearer to.
pub(crate) fn by_new_clock(arrived: Timestamp, old: Timestamp, new: Timestamp) -> Timestamp {
    let age = old.millis_after(arrived);
    if age.abs() < new.millis_after(arrived).abs() {
        Timestamp::from_millis(new.as_millis().saturating_sub(age))
    } else {
        arrived
    }
}

/// Whether between the newest step and the first one after a start anybody may have spoken unheard. The clock may stand
/// before the newest step: then the length is not known.
pub(crate) fn was_away(listened_until: Timestamp, now: Timestamp) -> bool {
    now < listened_until || now.since(listened_until) > AWAY
}

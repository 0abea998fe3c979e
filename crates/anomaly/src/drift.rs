//! Drift: a sensor slowly moves away from its neighbours in the zone, which agree (ageing, dust, a heater beside it).
//!
//! Each device has a usual offset from the median of its peers, learnt over weeks, and a slow one, of the last day.
//! Their distance is the deviation. It is compared with the largest of the device's own usual deviation, that of the others,
//! the differences between the devices of the zone, and the sensor's resolution. So the afternoon sun, a busy room and a
//! weekend are part of the usual.
//!
//! An anomaly that a device's neighbours show as well is reported for only one of them: its cause is the weather or the
//! boiler, and one alert is enough.
//!
//! A device is compared once a minute of event time, and only with at least two peers with recent readings; in between the
//! score stays. Silence is not a value. A lasting new offset becomes the usual one after about a month.

use gateway_core::{AnomalyKind, DeviceId, Score, Timestamp};
use serde::{Deserialize, Serialize};

use super::LARGEST;
use super::clock::{DAY_MILLIS, HOUR_MILLIS, LONGEST_STEP_MILLIS, WEEK_MILLIS, share};
use super::direction::Direction;
use super::faults::score;
use super::suppression::{REPEATED_SCORE, REPORTED_SCORE, ZoneReports};

#[cfg(test)]
mod tests;

/// The most devices compared; in a larger zone, those with the first readings are.
const MAX_MEMBERS: usize = 64;
/// The peers needed to decide which device is right.
const LEAST_PEERS: usize = 2;
/// The event time between two comparisons of a device.
const EVERY_MILLIS: i64 = 60_000;
/// How long a peer's value is recent.
const FRESH_MILLIS: i64 = 3 * HOUR_MILLIS.cast_signed();
/// A clock that was set back by more is followed.
const SET_BACK_MILLIS: i64 = HOUR_MILLIS.cast_signed();
/// Memory of the slow offset, of the usual one, and of the usual deviation.
const SLOW_MILLIS: u64 = DAY_MILLIS;
const USUAL_MILLIS: u64 = 21 * DAY_MILLIS;
const DEVIATION_MILLIS: u64 = 28 * DAY_MILLIS;
/// Event time compared before the first report.
const LEARN_MILLIS: u64 = WEEK_MILLIS;
/// Deviations (means of their sizes) that are tolerated.
const TOLERATED: f64 = 6.0;
/// A deviation teaches no more than this many usual ones, so that a slow drift does not become the usual.
const CLIP_DEVIATION: f64 = 1.5;
/// An offset teaches no more than this many scales: a broken value is no drift.
const CLIP_OFFSET: f64 = 20.0;
/// How much of the differences between devices is no drift.
const OF_DIFFERENCES: f64 = 0.25;
/// How much of the sensor's resolution is no drift.
const OF_RESOLUTION: f64 = 0.5;
/// The peers agree where the median of their deviations is smaller by this factor than the device's own.
const AGREE: f64 = 1.5;

/// The devices of one zone, by one metric. Serialise it to keep it over a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Peers {
    members: Vec<Member>,
    reports: ZoneReports,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    device: DeviceId,
    /// The newest value.
    value: f64,
    newest_at: Timestamp,
    /// The smallest change of value: the sensor's resolution, 0 for none.
    resolution: f64,
    direction: Direction,
    compared: Timestamp,
    /// Event time compared, without the gaps.
    age_millis: u64,
    /// Offsets from the peers' median.
    slow: f64,
    usual: f64,
    /// Mean size of the deviation.
    deviation: f64,
    /// Whether the newest value compared lies as far from the peers as usual.
    follows: bool,
    /// Result of the newest comparison: how many times the tolerated, lowest and highest value expected.
    comparison: (f64, f64, f64),
}

impl Peers {
    /// Takes a device's reading and scores its drift from the others; 0.5 is reported. Values that are not
    /// finite, and those older than the device's newest, teach nothing.
    pub fn observe(&mut self, device: DeviceId, at: Timestamp, value: f64) -> Score {
        if !value.is_finite() {
            return Score::NONE;
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let Some(index) = self.index(device, at, value) else { return Score::NONE };
        let due = self.members.get_mut(index).is_some_and(|member| member.update(at, value));
        let others = if due { self.others(index, at) } else { None };
        let Some(member) = self.members.get_mut(index) else { return Score::NONE };
        if let Some(others) = others {
            member.compare(at, &others);
        } else if due {
            // No peers to compare with: neither an anomaly nor a day older.
            (member.comparison, member.compared) = ((0.0, 0.0, 0.0), at);
        }
        let (excess, low, high) = member.comparison;
        score(excess, AnomalyKind::Drift, Some((low, high)))
    }

    /// Holds back the anomaly of a device that behaves as its neighbours do, where one of them was reported already.
    pub fn suppress_shared(&mut self, device: DeviceId, at: Timestamp, score: Score) -> Score {
        if score.value < REPORTED_SCORE || score.anomaly_kind.is_none_or(AnomalyKind::is_sensor_fault) {
            return score;
        }
        let is_shared = self.members.iter().any(|member| member.device == device && member.follows);
        let is_held_back = self.reports.holds_back(device, at, is_shared);
        if is_held_back { Score { value: REPEATED_SCORE, ..score } } else { score }
    }

    /// Forgets the devices of which `stays` says no.
    pub fn retain(&mut self, mut stays: impl FnMut(DeviceId) -> bool) {
        self.members.retain(|member| stays(member.device));
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn index(&mut self, device: DeviceId, at: Timestamp, value: f64) -> Option<usize> {
        let known = self.members.iter().position(|member| member.device == device);
        if known.is_none() && self.members.len() < MAX_MEMBERS {
            self.members.push(Member::new(device, at, value));
            return Some(self.members.len() - 1);
        }
        known
    }

    /// The state of the peers, if enough of them have recent values.
    fn others(&self, index: usize, at: Timestamp) -> Option<Others> {
        // A device that has drifted is not used to measure the others.
        let is_other =
            |(i, member): &(usize, &Member)| *i != index && member.is_fresh(at) && member.comparison.0 < 1.0;
        let others = || self.members.iter().enumerate().filter(is_other).map(|(_, member)| member);
        if others().count() < LEAST_PEERS {
            return None;
        }
        let usual = median(others().map(|other| other.usual))?;
        Some(Others {
            value: median(others().map(|other| other.value))?,
            deviation_now: median(others().map(|other| other.now().abs()))?,
            deviation: median(others().map(|other| other.deviation))?,
            differences: median(others().map(|other| (other.usual - usual).abs()))?,
        })
    }
}

/// The medians of a device's peers.
struct Others {
    value: f64,
    /// Size of the deviation, now and usually.
    deviation_now: f64,
    deviation: f64,
    /// How far their usual offsets lie apart.
    differences: f64,
}

impl Member {
    fn new(device: DeviceId, at: Timestamp, value: f64) -> Self {
        Self {
            device,
            value,
            newest_at: at,
            resolution: 0.0,
            direction: Direction::default(),
            compared: at,
            age_millis: 0,
            slow: 0.0,
            usual: 0.0,
            deviation: 0.0,
            follows: false,
            comparison: (0.0, 0.0, 0.0),
        }
    }

    /// Takes the value; whether it is time to compare.
    fn update(&mut self, at: Timestamp, value: f64) -> bool {
        let elapsed = at.millis_after(self.newest_at);
        if elapsed < -SET_BACK_MILLIS {
            self.compared = at;
        } else if elapsed < 0 {
            return false;
        }
        let change = (value - self.value).abs();
        if change > 0.0 && change.is_finite() {
            self.resolution = if self.resolution > 0.0 { self.resolution.min(change) } else { change };
        }
        self.direction.note(self.value, value);
        (self.value, self.newest_at) = (value, at);
        at.millis_after(self.compared) >= EVERY_MILLIS
    }

    fn is_fresh(&self, at: Timestamp) -> bool {
        (-FRESH_MILLIS..=FRESH_MILLIS).contains(&at.millis_after(self.newest_at))
    }

    /// The deviation.
    fn now(&self) -> f64 {
        self.slow - self.usual
    }

    fn compare(&mut self, at: Timestamp, others: &Others) {
        let elapsed = u64::try_from(at.millis_after(self.compared)).unwrap_or(0).min(LONGEST_STEP_MILLIS);
        self.compared = at;
        let offset = self.value - others.value;
        let scale = self.scale(others);
        if !offset.is_finite() || !scale.is_finite() {
            return;
        }
        self.age_millis = self.age_millis.saturating_add(elapsed);
        self.follows = self.age_millis >= DAY_MILLIS && (offset - self.usual).abs() <= TOLERATED * scale;
        self.learn(offset, elapsed, scale);

        let tolerated = TOLERATED * scale * self.caution();
        let size = self.now().abs();
        // Counters and batteries move apart by nature.
        let may_report = self.age_millis >= LEARN_MILLIS
            && tolerated > 0.0
            && size >= AGREE * others.deviation_now
            && !self.direction.is_one_way();
        let excess = if may_report { size / tolerated } else { 0.0 };
        let middle = others.value + self.usual;
        self.comparison = (excess, middle - tolerated, middle + tolerated);
    }

    /// The deviation that says nothing.
    fn scale(&self, others: &Others) -> f64 {
        self.deviation
            .max(others.deviation)
            .max(OF_DIFFERENCES * others.differences)
            .max(OF_RESOLUTION * self.resolution)
    }

    /// 2 after the first week, falling to 1 within two weeks.
    fn caution(&self) -> f64 {
        2.0 - share(self.age_millis.saturating_sub(LEARN_MILLIS), 2 * WEEK_MILLIS)
    }

    fn learn(&mut self, offset: f64, elapsed: u64, scale: f64) {
        let young = self.age_millis < LEARN_MILLIS;
        let reach = if young { f64::INFINITY } else { CLIP_OFFSET * scale };
        let offset = offset.clamp(self.usual - reach, self.usual + reach);
        let usual_millis = if young { self.age_millis } else { USUAL_MILLIS };
        let first = self.age_millis == elapsed;
        let rate = |millis: u64| if first { 1.0 } else { share(elapsed, millis.max(1)) };
        self.usual += rate(usual_millis) * (offset - self.usual);
        self.slow += rate(self.age_millis.min(SLOW_MILLIS)) * (offset - self.slow);

        // Before the slow offset has its day, it says nothing of how much it moves.
        let known_millis = self.age_millis.saturating_sub(SLOW_MILLIS);
        if known_millis > 0 {
            let clip = if young { f64::INFINITY } else { CLIP_DEVIATION * scale };
            let taught = self.now().abs().min(clip);
            self.deviation += share(elapsed, known_millis.min(DEVIATION_MILLIS)) * (taught - self.deviation);
        }
    }
}

/// The middle one, or the mean of the two in the middle; none of nothing.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(lower / 2.0 + upper / 2.0)
}

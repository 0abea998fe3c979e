//! The readings of each message, for sinks that take readings, and for the history where it keeps them.
//!
//! A message gives one record for each device and time in it. Where the arrival is the event time, the times of a device
//! never repeat: a message in the same millisecond as the one before takes the next. (Unless the clock was set back, or a
//! device is faster than a message a millisecond for ten seconds.) Where the device gives the time, it may repeat: then the
//! records differ by their number.

use std::collections::{HashMap, VecDeque};

use gateway_core::{DeviceId, MetricId, Timestamp};
use serde::{Deserialize, Serialize};

use super::step::{AdapterIndex, Message, Step};

/// How far, in milliseconds, the times of messages may be ahead of their arrival, so that they differ.
const MAX_AHEAD: i64 = 10_000;
/// How many times of a device are remembered, to find those that it gives again.
const REMEMBERED: usize = 64;

/// What one message says of one device at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageReading {
    pub device: DeviceId,
    pub at: Timestamp,
    /// 0 if the message is newer than all before of its device; otherwise a number that no other of the device has.
    pub number: u32,
    /// Whether the device has given this time before, as far as is remembered: 64 times.
    pub same_time: bool,
    pub values: Vec<(MetricId, f64)>,
}

/// The times that devices have given, by [`DeviceId`]. Empty while neither a sink nor the
/// history takes readings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct MessageTimes(Vec<DeviceTimes>);

/// Times in Unix milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct DeviceTimes {
    newest: Option<i64>,
    /// The newest of those that are arrivals.
    newest_arrival: Option<i64>,
    /// The last number given.
    number: u32,
    /// Those that the device has given itself, the latest last.
    given: VecDeque<i64>,
}

impl MessageTimes {
    /// The readings of a step by messages, without those that are more than `max_future` ahead of the clock.
    pub(crate) fn take(
        &mut self,
        step: &Step,
        max_future: std::time::Duration,
        out: &mut Vec<MessageReading>,
    ) {
        let mut taken: HashMap<AdapterIndex, usize> = HashMap::new();
        for message in &step.messages {
            let Some(batch) = step.batches.iter().find(|batch| batch.adapter == message.adapter) else {
                continue;
            };
            let begin = taken.entry(message.adapter).or_default();
            let end = begin.saturating_add(message.readings as usize);
            let readings = batch.readings.get(*begin..end).unwrap_or_default();
            *begin = end;
            let readings = readings.iter().map(|reading| reading.reading(step.now));
            let readings = readings.filter(|reading| reading.at.since(step.now.at) <= max_future);
            let mut records: Vec<MessageReading> = Vec::new();
            let mut newest: HashMap<(DeviceId, Timestamp), usize> = HashMap::new();
            for reading in readings {
                let (key, value) = ((reading.device, reading.at), (reading.metric, reading.value));
                let known = newest.get(&key).and_then(|index| records.get_mut(*index));
                match known.filter(|record| record.values.iter().all(|(metric, _)| *metric != reading.metric))
                {
                    Some(record) => record.values.push(value),
                    None => {
                        newest.insert(key, records.len());
                        let (device, at) = key;
                        records.push(MessageReading {
                            device,
                            at,
                            number: 0,
                            same_time: false,
                            values: vec![value],
                        });
                    }
                }
            }
            records.iter_mut().for_each(|record| self.of(record.device).number(record, message));
            out.append(&mut records);
        }
    }

    fn of(&mut self, device: DeviceId) -> &mut DeviceTimes {
        let index = device.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, DeviceTimes::default());
        }
        #[expect(clippy::indexing_slicing, reason = "it was made as long just above")]
        &mut self.0[index]
    }
}

impl DeviceTimes {
    /// Settles time and number of a record.
    fn number(&mut self, record: &mut MessageReading, message: &Message) {
        let mut at = record.at.as_millis();
        let mut may_repeat = message.has_own_time;
        if !message.has_own_time {
            match self.newest_arrival {
                Some(newest) if newest >= at && newest - at < MAX_AHEAD => at = newest + 1,
                Some(newest) if newest >= at => may_repeat = true,
                _ => {}
            }
            self.newest_arrival = Some(at);
        }
        record.at = Timestamp::from_millis(at);
        record.same_time = may_repeat && self.given.contains(&at);
        if may_repeat && !record.same_time {
            if self.given.len() == REMEMBERED {
                self.given.pop_front();
            }
            self.given.push_back(at);
        }
        if self.newest.is_none_or(|newest| at > newest) {
            self.newest = Some(at);
        } else {
            self.number = self.number.wrapping_add(1).max(1);
            record.number = self.number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use gateway_core::{Now, Reading};

    use super::*;
    use crate::engine::step::{Batch, FirstNumbers, StepReading};

    const NOW: i64 = 1_000_000;

    /// Whether the device gives the time; and device, metric, time of each reading.
    type Told<'a> = (bool, &'a [(u32, u32, i64)]);

    /// A step with these messages of one adapter.
    fn step(messages: &[Told<'_>]) -> Step {
        let now = Now::at(Timestamp::from_millis(NOW));
        let mut step = Step::tick(now, None, FirstNumbers::default());
        let mut batch = Batch::new(AdapterIndex(0));
        for (has_own_time, readings) in messages {
            for (device, metric, at) in *readings {
                let reading = Reading {
                    device: DeviceId(*device),
                    metric: MetricId(*metric),
                    value: f64::from(*metric),
                    at: Timestamp::from_millis(*at),
                };
                batch.readings.push(StepReading::new(reading, now));
            }
            let readings = u32::try_from(readings.len()).unwrap();
            step.messages.push(Message { adapter: AdapterIndex(0), has_own_time: *has_own_time, readings });
        }
        step.batches.push(batch);
        step
    }

    fn taken(times: &mut MessageTimes, step: &Step) -> Vec<MessageReading> {
        let mut out = Vec::new();
        times.take(step, Duration::from_secs(60), &mut out);
        out
    }

    fn times_of(records: &[MessageReading]) -> Vec<(i64, u32, bool)> {
        records.iter().map(|record| (record.at.as_millis(), record.number, record.same_time)).collect()
    }

    #[test]
    fn a_message_is_one_record_for_each_device_and_time_in_it() {
        let mut times = MessageTimes::default();
        let records =
            taken(&mut times, &step(&[(true, &[(0, 0, 5), (0, 0, 6), (1, 0, 5), (0, 1, 5), (0, 1, 6)])]));
        let found =
            records.iter().map(|record| (record.device.0, record.at.as_millis(), record.values.len()));
        assert_eq!(found.collect::<Vec<_>>(), [(0, 5, 2), (0, 6, 2), (1, 5, 1)]);
        assert!(records.iter().all(|record| record.number == 0 && !record.same_time));
    }

    #[test]
    fn arrivals_in_one_millisecond_take_the_next_ones() {
        let mut times = MessageTimes::default();
        let arrival: Told<'_> = (false, &[(0, 0, NOW)]);
        let records = taken(&mut times, &step(&[arrival, arrival, (false, &[(1, 0, NOW)]), arrival]));
        assert_eq!(
            times_of(&records),
            [(NOW, 0, false), (NOW + 1, 0, false), (NOW, 0, false), (NOW + 2, 0, false)]
        );
        let later = taken(&mut times, &step(&[(false, &[(0, 0, NOW + 1)]), (false, &[(0, 0, NOW + 9)])]));
        assert_eq!(times_of(&later), [(NOW + 3, 0, false), (NOW + 9, 0, false)]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_the_times_where_they_were() {
        let mut times = MessageTimes::default();
        taken(&mut times, &step(&[(false, &[(0, 0, NOW)])]));
        let records = taken(&mut times, &step(&[(false, &[(0, 0, 5)]), (false, &[(0, 0, 5)])]));
        assert_eq!(times_of(&records), [(5, 1, false), (6, 2, false)]);
    }

    #[test]
    fn a_time_that_a_device_gives_again_is_known_and_no_two_records_have_the_same_id() {
        let mut times = MessageTimes::default();
        let give = |at| -> (bool, Vec<(u32, u32, i64)>) { (true, vec![(0, 0, at)]) };
        let given: Vec<_> = [7, 8, 7, 8, 8, 9, 1].into_iter().map(give).collect();
        let messages: Vec<Told<'_>> =
            given.iter().map(|(own, readings)| (*own, readings.as_slice())).collect();
        let records = taken(&mut times, &step(&messages));
        let again: Vec<bool> = records.iter().map(|record| record.same_time).collect();
        assert_eq!(again, [false, false, true, true, true, false, false]);
        let ids: BTreeSet<_> = records.iter().map(|record| (record.at, record.number)).collect();
        assert_eq!(ids.len(), records.len());
    }

    #[test]
    fn what_is_far_ahead_of_the_clock_is_left_out_and_shifts_no_other_message() {
        let mut times = MessageTimes::default();
        let far = NOW + 3_600_000;
        let records = taken(&mut times, &step(&[(true, &[(0, 0, far), (0, 1, 3)]), (true, &[(1, 2, 4)])]));
        let found: Vec<_> = records.iter().map(|record| record.values.clone()).collect();
        assert_eq!(found, [vec![(MetricId(1), 1.0)], vec![(MetricId(2), 2.0)]]);
    }

    #[test]
    fn what_is_remembered_of_a_device_is_bounded() {
        let mut times = MessageTimes::default();
        for at in 0..1_000 {
            taken(&mut times, &step(&[(true, &[(0, 0, at)])]));
        }
        assert_eq!(times.of(DeviceId(0)).given.len(), REMEMBERED);
        let records = taken(&mut times, &step(&[(true, &[(0, 0, 999)]), (true, &[(0, 0, 3)])]));
        assert_eq!(times_of(&records), [(999, 1, true), (3, 2, false)]);
    }
}

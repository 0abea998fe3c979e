//! Records as documents: the payload of the cloud's topics with `_id`, and with dates as times.

use gateway_core::Timestamp;
use mongodb::bson::{Bson, DateTime, Document};
use record::Record;
use serde_json::Value as Json;

use crate::sink::Item;

/// The document of a record.
pub(super) fn of(item: &Item) -> Document {
    let record = &item.record;
    let mut document = Document::new();
    document.insert("_id", record.id());
    // What `to_json` writes can be read.
    if let Ok(Json::Object(members)) = serde_json::from_slice(&record.to_json(item.seq())) {
        document.extend(members.into_iter().map(|(name, value)| (name, to_bson(value))));
    }
    match record {
        Record::Aggregate(aggregate) => {
            let mut window = Document::new();
            window.insert("start", date(aggregate.window.start));
            window.insert("end", date(aggregate.window.end));
            document.insert("window", window);
        }
        Record::Alert(alert) => {
            document.insert("time", date(alert.at));
            document.insert("since", date(alert.since));
        }
        Record::Reading(reading) => {
            document.insert("time", date(reading.time));
        }
    }
    document
}

fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millis())
}

fn to_bson(value: Json) -> Bson {
    match value {
        Json::Null => Bson::Null,
        Json::Bool(value) => Bson::Boolean(value),
        Json::String(text) => Bson::String(text),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Bson::Int64(whole),
            (None, number) => Bson::Double(number.unwrap_or(f64::NAN)),
        },
        Json::Array(values) => Bson::Array(values.into_iter().map(to_bson).collect()),
        Json::Object(members) => {
            Bson::Document(members.into_iter().map(|(name, value)| (name, to_bson(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use outbox::Lane;
    use record::Reading;

    use super::*;

    #[test]
    fn numbers_keep_their_kind_and_times_are_dates() {
        let record = Record::Reading(Reading {
            gateway: "hq".to_owned(),
            device: "lounge".to_owned(),
            zone: None,
            protocol: None,
            time: Timestamp::from_millis(1_795_132_800_123),
            number: 1,
            same_time: false,
            metrics: vec![("t.1".to_owned(), 21.0), ("$date".to_owned(), 2.5)],
        });
        let document = of(&Item { lane: Lane::Readings, number: 1, record, bytes: 9 });
        assert_eq!(document.get_str("_id").unwrap(), "hq/readings/lounge/1795132800123/1");
        assert_eq!(document.get_datetime("time").unwrap().timestamp_millis(), 1_795_132_800_123);
        let metrics = document.get_document("metrics").unwrap();
        assert_eq!(metrics.get("t.1"), Some(&Bson::Double(21.0)));
        assert_eq!(metrics.get("$date"), Some(&Bson::Double(2.5)));
    }
}

//! What an export has in it, in which order, and that it keeps to a page of memory.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::retention::{Before, Progress};
use crate::row::Row;

const FIVE_MINUTES: i64 = 300_000;
const HOUR: i64 = 3_600_000;
/// 2026-11-20T00:00:00Z.
const BEGIN: i64 = 1_795_132_800_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

fn windows(device: &str, range: std::ops::Range<i64>) -> Vec<(Box<str>, Row)> {
    range
        .map(|n| {
            let (avg, start) = (n as f64, at(n * FIVE_MINUTES));
            let summary = Summary { avg, min: avg - 1.0, max: avg + 0.5, std: 0.25, count: 10 };
            let metrics = vec![("temperature".into(), summary), ("co2, \"ppm\"".into(), summary)];
            (device.into(), Row { start, end: start + Duration::from_secs(300), revision: 0, metrics })
        })
        .collect()
}

fn store_with(windows: &[(Box<str>, Row)]) -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(&folder.path().join("history.db")).unwrap();
    store.append(windows).unwrap();
    (folder, store)
}

fn csv_of(store: &Store, devices: &[&str], from: i64, to: i64) -> (Vec<String>, Exported) {
    let devices: Vec<Box<str>> = devices.iter().map(|device| (*device).into()).collect();
    let mut out = Vec::new();
    let exported = store.export(&devices, (at(from), at(to)), Format::Csv, &mut out).unwrap();
    (String::from_utf8(out).unwrap().lines().map(str::to_owned).collect(), exported)
}

#[test]
fn a_row_is_one_metric_of_one_window_with_quotes_where_they_are_needed() {
    let (_folder, store) = store_with(&windows("lounge", 0..3));
    let (lines, exported) = csv_of(&store, &["lounge", "nobody"], FIVE_MINUTES, 2 * FIVE_MINUTES);
    assert_eq!(exported, Exported { rows: 2, damaged: 0 });
    assert_eq!(
        lines,
        [
            "device,metric,start,end,avg,min,max,std,count",
            "lounge,temperature,2026-11-20T00:05:00.000Z,2026-11-20T00:10:00.000Z,1,0,1.5,0.25,10",
            "lounge,\"co2, \"\"ppm\"\"\",2026-11-20T00:05:00.000Z,2026-11-20T00:10:00.000Z,1,0,1.5,0.25,10",
        ]
    );
}

#[test]
fn a_name_that_a_spreadsheet_would_run_is_a_text_to_it_and_numbers_stay_numbers() {
    let summary = Summary { avg: -1.5, min: -2.0, max: -1.0, std: 0.25, count: 10 };
    let metrics = vec![("+cmd|' /C calc'!A0".into(), summary), ("temperature".into(), summary)];
    let row = Row { start: at(0), end: at(FIVE_MINUTES), revision: 0, metrics };
    let devices = ["=HYPERLINK(\"http://x\")", "-1", "@a", "\ttab", "a=b"];
    let rows: Vec<(Box<str>, Row)> = devices.iter().map(|name| ((*name).into(), row.clone())).collect();
    let (_folder, store) = store_with(&rows);
    let (lines, _) = csv_of(&store, &devices, 0, HOUR);
    let begins = [
        "\"'=HYPERLINK(\"\"http://x\"\")\",'+cmd|' /C calc'!A0,",
        "'-1,temperature,",
        "'@a,",
        "'\ttab,",
        "a=b,",
    ];
    for begin in begins {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin} in {lines:#?}");
    }
    assert!(lines.iter().skip(1).all(|line| line.ends_with(",-1.5,-2,-1,0.25,10")));
}

#[test]
fn what_was_moved_and_what_is_recent_come_in_order_over_many_pages() {
    let (_folder, mut store) = store_with(&windows("lounge", 0..2_500));
    store.append(&windows("porch", 0..10)).unwrap();
    store.settle().unwrap();
    store.append(&windows("lounge", 2_500..4_000)).unwrap();
    let (lines, exported) = csv_of(&store, &["porch", "lounge"], 0, i64::MAX - BEGIN);
    assert_eq!(exported.rows, 8_020);
    assert!(lines[1].starts_with("porch,") && lines[21].starts_with("lounge,"));
    let starts: Vec<&str> = lines[21..].iter().map(|line| line.rsplit(',').nth(6).unwrap()).collect();
    assert!(starts.is_sorted());
}

#[test]
fn where_windows_were_removed_hours_stand_for_them_and_days_for_hours() {
    let (_folder, mut store) = store_with(&windows("lounge", 0..288 * 3));
    let before = Before { windows: BEGIN + 48 * HOUR, hours: BEGIN + 24 * HOUR, ..Before::NOTHING };
    while store.trim(&before, u64::MAX).unwrap() == Progress::More {}
    let (lines, exported) = csv_of(&store, &["lounge"], 0, 72 * HOUR);
    assert_eq!(exported.rows, 2 * (1 + 24 + 288));
    assert!(lines[1].starts_with("lounge,temperature,2026-11-20T00:00:00.000Z,2026-11-21T00:00:00.000Z"));
    assert!(lines[3].starts_with("lounge,temperature,2026-11-21T00:00:00.000Z,2026-11-21T01:00:00.000Z"));
    let counts = lines[1..].iter().map(|line| line.rsplit(',').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 2 * 8_640, "no value is missing or there twice");
    let (lines, _) = csv_of(&store, &["lounge"], 36 * HOUR, 37 * HOUR);
    assert_eq!(lines.len(), 3, "one hour");
}

#[test]
fn a_damaged_row_is_left_out_and_counted() {
    let (_folder, store) = store_with(&windows("lounge", 0..3));
    store.file.execute("UPDATE recent SET metrics = x'00' WHERE start = ?1", [BEGIN]).unwrap();
    let (_, exported) = csv_of(&store, &["lounge"], 0, HOUR);
    assert_eq!(exported, Exported { rows: 4, damaged: 1 });
}

/// Takes so many bytes and then refuses.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_receiver_says_is_the_error() {
    let (_folder, store) = store_with(&windows("lounge", 0..2_000));
    let mut formats = vec![Format::Csv];
    if cfg!(feature = "parquet") {
        formats.push(Format::Parquet);
    }
    for format in formats {
        let done = store.export(&["lounge".into()], (at(0), at(4_000 * HOUR)), format, Full(10_000));
        let Err(ExportError::Write(error)) = done else { panic!("{done:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_same_rows_as_csv() {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::Field;

    let (_folder, store) = store_with(&windows("lounge", 0..40_000));
    let mut file = tempfile::tempfile().unwrap();
    let range = (at(0), at(40_000 * FIVE_MINUTES));
    let exported = store.export(&["lounge".into()], range, Format::Parquet, &mut file).unwrap();
    assert_eq!(exported.rows, 80_000);
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.num_row_groups(), 2);
    let (lines, _) = csv_of(&store, &["lounge"], 0, 40_000 * FIVE_MINUTES);
    let mut csv = ::csv::Reader::from_reader(std::io::Cursor::new(lines.join("\n")));
    for (row, expected) in reader.get_row_iter(None).unwrap().zip(csv.records()) {
        let cells = row.unwrap().into_columns().into_iter().map(|(_, field)| match field {
            Field::Str(text) => text,
            Field::TimestampMillis(millis) => Timestamp::from_millis(millis).to_string(),
            Field::Long(number) => number.to_string(),
            Field::Double(number) => number.to_string(),
            other => panic!("{other:?}"),
        });
        assert_eq!(cells.collect::<Vec<_>>(), expected.unwrap().iter().collect::<Vec<_>>());
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_so() {
    let (_folder, store) = store_with(&[]);
    let done = store.export(&[], (at(0), at(1)), Format::Parquet, Vec::new());
    assert!(done.unwrap_err().to_string().contains("sink-parquet"));
}

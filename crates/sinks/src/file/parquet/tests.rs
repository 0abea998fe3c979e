use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::file::config::Format;
use crate::file::folder::{Folder, Layout};

const DAY: Duration = Duration::from_secs(86_400);
/// 2026-11-20T10:00:00Z.
const TEN: Timestamp = Timestamp::from_millis(1_795_168_800_000);
const LANE: Lane = Lane::Readings;
const NAME: &str = "readings-20261120T000000Z-000.parquet";

fn lines(range: std::ops::Range<usize>) -> Vec<u8> {
    let line =
        |number: usize| format!("[\"lounge\",{},\"temperature\",{number}.5]\n", 1_795_168_800_000 + number);
    range.map(line).collect::<String>().into_bytes()
}

/// A folder with a sink's files, which a crash may leave at any step.
struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("{NAME}{suffix}"))
    }

    fn put(&self, suffix: &str, bytes: &[u8]) {
        fs::write(self.path(suffix), bytes).unwrap();
    }

    fn open(&self) -> Folder {
        let path = self.folder.path().to_owned();
        Folder::open(Layout { path, format: Format::Parquet, rotate: DAY, max_size: 1 << 28 }).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The lines of all complete files.
    fn complete(&self) -> Vec<u8> {
        let names = self.names().into_iter().filter(|name| name.ends_with(".parquet"));
        names.flat_map(|name| last_lines(&self.folder.path().join(name), usize::MAX).unwrap()).collect()
    }
}

/// The complete file of these lines.
fn parquet_of(lines: &[u8]) -> Vec<u8> {
    let fixture = Fixture::new();
    fixture.put(".part", lines);
    convert(&fixture.path(".part"), &fixture.path(""), LANE).unwrap();
    assert_eq!(fixture.names(), [NAME]);
    fs::read(fixture.path("")).unwrap()
}

#[test]
fn a_file_becomes_parquet_when_its_time_is_over_or_it_is_full() {
    let fixture = Fixture::new();
    let mut folder = fixture.open();
    folder.write(LANE, &lines(0..3), TEN).unwrap();
    assert_eq!(fixture.names(), [format!("{NAME}.part")]);
    folder.write(LANE, &lines(3..5), TEN + DAY).unwrap();
    assert_eq!(fixture.names(), [NAME, "readings-20261121T000000Z-000.parquet.part"]);
    assert_eq!(folder.finish_due(TEN + 2 * DAY).unwrap(), None);
    assert_eq!(fixture.names(), [NAME, "readings-20261121T000000Z-000.parquet"]);
    assert_eq!(fixture.complete(), lines(0..5));
    drop(folder);

    let fixture = Fixture::new();
    let layout = Layout {
        path: fixture.folder.path().to_owned(),
        format: Format::Parquet,
        rotate: DAY,
        max_size: lines(0..4).len() as u64,
    };
    let mut folder = Folder::open(layout).unwrap();
    for number in 0..5 {
        folder.write(LANE, &lines(2 * number..2 * number + 2), TEN).unwrap();
    }
    folder.finish_due(TEN + DAY).unwrap();
    assert_eq!(fixture.names().len(), 3);
    assert_eq!(fixture.complete(), lines(0..10));
}

#[test]
fn a_crash_at_any_step_leaves_each_record_once() {
    let (all, next) = (lines(0..40), lines(40..45));
    let complete = parquet_of(&all);
    let half = complete.get(..complete.len() / 2).unwrap();
    // What is there: lines, what was made of them, the complete file.
    let steps: [(bool, Option<&[u8]>, bool); 7] = [
        (true, None, false),
        (true, Some(b""), false),
        (true, Some(b"PAR1"), false),
        (true, Some(half), false),
        (true, Some(&complete), false),
        (true, None, true),
        (false, None, true),
    ];
    // What comes then: the last batch again, which was not acknowledged; the next; nothing.
    for again in [lines(30..40), next.clone(), Vec::new()] {
        for (has_lines, temporary, is_complete) in steps {
            let fixture = Fixture::new();
            if has_lines {
                fixture.put(".part", &all);
            }
            temporary.into_iter().for_each(|bytes| fixture.put(".tmp", bytes));
            if is_complete {
                fixture.put("", &complete);
            }
            let mut folder = fixture.open();
            if !again.is_empty() {
                folder.write(LANE, &again, TEN + DAY).unwrap();
                folder.write(LANE, &next, TEN + DAY).unwrap();
            }
            folder.finish_due(TEN + 3 * DAY).unwrap();
            let names = fixture.names();
            assert!(names.iter().all(|name| name.ends_with(".parquet")), "{names:?}");
            let expected = match &again {
                none if none.is_empty() => lines(0..40),
                again if *again == next => [lines(0..45), lines(40..45)].concat(),
                _ => lines(0..45),
            };
            assert_eq!(fixture.complete(), expected, "{has_lines} {is_complete}");
        }
    }
}

#[test]
fn a_complete_file_never_changes_although_a_crash_left_its_lines() {
    let fixture = Fixture::new();
    let complete = parquet_of(&lines(0..3));
    fixture.put(".part", &lines(0..3));
    fixture.put("", &complete);
    let mut folder = fixture.open();
    // It was full; its day is not over.
    folder.write(LANE, &lines(3..5), TEN).unwrap();
    folder.finish_due(TEN + DAY).unwrap();
    assert_eq!(fs::read(fixture.path("")).unwrap(), complete);
    assert_eq!(fixture.names(), [NAME, "readings-20261120T000000Z-001.parquet"]);
    assert_eq!(fixture.complete(), lines(0..5));
}

#[test]
fn a_batch_that_a_crash_cut_off_at_any_byte_stands_once() {
    let (first, second) = (lines(0..3), lines(3..6));
    for cut in 0..=second.len() {
        for is_lost_block in [false, true] {
            let fixture = Fixture::new();
            let mut part = [first.as_slice(), second.get(..cut).unwrap()].concat();
            if is_lost_block {
                // The file's length was on the disk, and its bytes were not.
                part.resize(first.len() + second.len() + 1, 0);
            }
            fixture.put(".part", &part);
            let mut folder = fixture.open();
            folder.write(LANE, &second, TEN + DAY).unwrap();
            folder.finish_due(TEN + 2 * DAY).unwrap();
            assert_eq!(fixture.complete(), lines(0..6), "{cut}");
        }
    }
}

#[test]
fn a_full_disk_leaves_the_lines_and_takes_no_space() {
    let fixture = Fixture::new();
    let mut folder = fixture.open();
    folder.write(LANE, &lines(0..9), TEN).unwrap();
    for _ in 0..2 {
        // Writing through this name fails as on a full disk.
        std::os::unix::fs::symlink("/dev/full", fixture.path(".tmp")).unwrap();
        let error = folder.write(LANE, &lines(9..12), TEN + DAY).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(fixture.names(), [format!("{NAME}.part")]);
    }
    folder.write(LANE, &lines(9..12), TEN + DAY).unwrap();
    folder.finish_due(TEN + 2 * DAY).unwrap();
    assert_eq!(fixture.complete(), lines(0..12));
}

#[test]
fn damaged_lines_are_kept_beside_the_file() {
    let fixture = Fixture::new();
    let damage = b"[\"lounge\",17951\0\0\0\n[1]\n".as_slice();
    fixture.put(".part", &[lines(0..2).as_slice(), damage, &lines(2..4)].concat());
    fixture.open().finish_due(TEN + DAY).unwrap();
    assert_eq!(fixture.names(), [NAME.to_owned(), format!("{NAME}.damaged")]);
    assert_eq!(fixture.complete(), lines(0..4));
    assert_eq!(fs::read(fixture.path(".damaged")).unwrap(), damage);
}

#[test]
fn a_complete_file_that_is_damaged_holds_up_nothing() {
    let whole = parquet_of(&lines(0..40));
    for cut in [0, 3, 4, 100, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let fixture = Fixture::new();
        fixture.put("", whole.get(..cut).unwrap());
        let mut folder = fixture.open();
        folder.write(LANE, &lines(30..40), TEN + DAY).unwrap();
        assert_eq!(fixture.names().len(), 2);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        *bytes.get_mut(at).unwrap() ^= 0x55;
        let fixture = Fixture::new();
        fixture.put("", &bytes);
        last_lines(&fixture.path(""), 1000).unwrap();
    }
}

#[test]
fn every_kind_of_record_is_read_as_it_was_written() {
    let rows: [(Lane, &[&str]); 3] = [
        (
            Lane::Readings,
            &["[\"a \\\"b\\\".c/会議室\\n\",-9223372036854775808,\"t\",5e-324]\n", "[\"\",0,\"\",\"NaN\"]\n"],
        ),
        (
            Lane::Aggregates,
            &[
                "[\"hq\",\"zones/a\",\"t\",1,4294967295,-0.0,\"-inf\",\"inf\",1.7976931348623157e+308,9223372036854775807]\n",
            ],
        ),
        (
            Lane::Alerts,
            &[
                "[\"id\",1,\"hq\",\"a\",null,null,\"silent\",\"silent\",\"raised\",\"warning\",null,\"\"]\n",
                "[\"id\",1,\"hq\",\"a\",\"\",\"t\",\"hot\",\"above\",\"raised\",\"warning\",0.30000000000000004,\"m\"]\n",
            ],
        ),
    ];
    for (lane, lines) in rows {
        let fixture = Fixture::new();
        fixture.put(".part", lines.concat().as_bytes());
        convert(&fixture.path(".part"), &fixture.path(""), lane).unwrap();
        assert_eq!(fixture.names(), [NAME]);
        let read = last_lines(&fixture.path(""), usize::MAX).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), lines.concat());
    }
    let empty = parquet_of(b"");
    assert!(empty.starts_with(b"PAR1") && empty.ends_with(b"PAR1"));
}

#[test]
fn many_lines_are_divided_and_take_little_memory() {
    testkit::alone("file::parquet::tests::many_lines_are_divided_and_take_little_memory", || {
        let fixture = Fixture::new();
        let all = lines(0..400_000);
        fixture.put(".part", &all);
        let before = testkit::resident();
        convert(&fixture.path(".part"), &fixture.path(""), LANE).unwrap();
        let used = testkit::resident().saturating_sub(before);
        assert!(
            all.len() > 4 * GROUP_BYTES && used < 48 << 20,
            "{} bytes of lines take {used} bytes",
            all.len()
        );
        let end = last_lines(&fixture.path(""), GROUP_BYTES + 1).unwrap();
        assert!(end.len() < all.len() && all.ends_with(&end) && end.len() > GROUP_BYTES, "{}", end.len());
    });
}

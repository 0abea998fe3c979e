use super::*;

const DAY: Duration = Duration::from_secs(86_400);
/// 2026-11-20T10:00:00Z.
const TEN: Timestamp = Timestamp::from_millis(1_795_168_800_000);
const LANE: Lane = Lane::Readings;

fn layout(path: &Path) -> Layout {
    Layout { path: path.to_owned(), format: Format::Csv, rotate: DAY, max_size: 1 << 20 }
}

/// Names and contents without the header.
fn files(path: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.strip_prefix("device,time,metric,value\n").expect("a header").to_owned();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect();
    files.sort();
    files
}

fn contents(path: &Path) -> Vec<String> {
    files(path).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_file_gets_its_final_name_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"a\n", TEN).unwrap();
    assert_eq!(files(dir.path()), [("readings-20261120T000000Z-000.csv.part".to_owned(), "a\n".to_owned())]);
    assert_eq!(folder.finish_due(TEN).unwrap(), Some(period(DAY, TEN).1));
    folder.write(LANE, b"b\n", TEN + DAY).unwrap();
    let names: Vec<String> = files(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["readings-20261120T000000Z-000.csv", "readings-20261121T000000Z-000.csv.part"]);
    assert_eq!(folder.finish_due(TEN + 2 * DAY).unwrap(), None);
    assert!(files(dir.path()).iter().all(|(name, _)| name.ends_with(".csv")));
    assert_eq!(contents(dir.path()), ["a\n", "b\n"]);
}

#[test]
fn a_file_is_not_larger_than_it_may_be_unless_by_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let header = rows::header(Format::Csv, LANE).len() as u64;
    let mut folder = Folder::open(Layout { max_size: header + 4, ..layout(dir.path()) }).unwrap();
    for lines in [&b"a\n"[..], b"b\n", b"c\n", b"a long line\n", b"d\n"] {
        folder.write(LANE, lines, TEN).unwrap();
    }
    assert_eq!(contents(dir.path()), ["a\nb\n", "c\n", "a long line\n", "d\n"]);
}

#[test]
fn what_a_crash_cut_off_at_any_byte_stands_once_when_it_is_written_again() {
    let (first, second) = (b"one,1\none,1\n".as_slice(), b"one,1\ntwo,2\nthree,3\n".as_slice());
    for cut in 0..=second.len() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(layout(dir.path())).unwrap();
        folder.write(LANE, first, TEN).unwrap();
        folder.write(LANE, second, TEN).unwrap();
        drop(folder);
        let path = newest(&layout(dir.path()), LANE).unwrap().unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - (second.len() - cut) as u64).unwrap();
        let mut folder = Folder::open(layout(dir.path())).unwrap();
        // Also when its day is over meanwhile.
        folder.write(LANE, second, TEN + DAY).unwrap();
        folder.write(LANE, b"four,4\n", TEN + DAY).unwrap();
        let all = contents(dir.path()).concat();
        let expected = [first, second, b"four,4\n"].concat();
        // The first line of the second batch is the same as the last of the first: it may be taken for it.
        let without_one = [first, second.strip_prefix(b"one,1\n").unwrap(), b"four,4\n"].concat();
        let is_ambiguous = cut < b"one,1\n".len();
        assert!(
            all.as_bytes() == expected || (is_ambiguous && all.as_bytes() == without_one),
            "cut {cut}: {all}"
        );
    }
}

#[test]
fn a_line_of_a_batch_that_never_comes_again_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"one,1\ncut o", TEN).unwrap();
    drop(folder);
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"two,2\n", TEN).unwrap();
    assert_eq!(contents(dir.path()), ["one,1\ntwo,2\n"]);
}

#[test]
fn a_header_that_a_crash_cut_off_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("readings-20261120T000000Z-000.csv.part"), "devi").unwrap();
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"one,1\n", TEN).unwrap();
    assert_eq!(contents(dir.path()), ["one,1\n"]);
}

#[test]
fn a_batch_at_the_end_of_a_complete_file_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"one,1\n", TEN).unwrap();
    folder.finish_due(TEN + DAY).unwrap();
    drop(folder);
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"one,1\n", TEN + DAY).unwrap();
    folder.write(LANE, b"two,2\n", TEN + DAY).unwrap();
    assert_eq!(contents(dir.path()), ["one,1\n", "two,2\n"]);
}

#[test]
fn two_sinks_do_not_write_to_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _folder = Folder::open(layout(dir.path())).unwrap();
    let error = Folder::open(layout(dir.path())).unwrap_err().to_string();
    assert!(error.contains("its own `path`"), "{error}");
}

#[test]
fn a_file_that_was_begun_before_a_restart_gets_its_final_name_although_nothing_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    folder.write(LANE, b"one,1\ncut o", TEN).unwrap();
    drop(folder);
    let mut folder = Folder::open(layout(dir.path())).unwrap();
    assert_eq!(folder.finish_due(TEN).unwrap(), Some(period(DAY, TEN).1));
    assert_eq!(folder.finish_due(TEN + DAY).unwrap(), None);
    let complete = ("readings-20261120T000000Z-000.csv".to_owned(), "one,1\n".to_owned());
    assert_eq!(files(dir.path()), [complete]);
}

//! A model is read from a file unchanged, or not at all.

use proptest::prelude::*;

use super::*;
use crate::multivariate::{Windows, fit};

fn stored() -> &'static Stored {
    static STORED: std::sync::LazyLock<Stored> = std::sync::LazyLock::new(|| {
        let mut windows = Windows::default();
        for index in 0..240 {
            let (at, step) =
                (Timestamp::from_millis(index * 300_000), f64::from(i32::try_from(index).unwrap()));
            let swing = (step * 0.7).sin();
            let row = [("flow", swing), ("power", 3.0 * swing + (step * 1.3).cos())];
            windows.push(at, Timestamp::from_millis((index + 1) * 300_000), row);
        }
        let (from, to) = windows.range().unwrap();
        let model = fit(windows, |_| {}).unwrap().model;
        Stored { device: "ahu-3/\u{fc}ber".into(), from, to, windows: 240, model }
    });
    &STORED
}

fn path_of_nothing() -> &'static Path {
    Path::new("a.model")
}

#[test]
fn what_was_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    let path = write(&models, stored()).unwrap();
    assert_eq!(path.file_name().unwrap(), "ahu-3%2F%C3%BCber.model");
    assert_eq!(&read(&path).unwrap(), stored());
    write(&models, &Stored { windows: 7, ..stored().clone() }).unwrap();
    let (models, problems) = read_all(&models);
    assert_eq!(models.iter().map(|stored| stored.windows).collect::<Vec<_>>(), [7]);
    assert!(problems.is_empty());
}

#[test]
fn a_damaged_file_is_told_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), stored()).unwrap();
    fs::write(folder.path().join("b.model"), b"RISERMV\n").unwrap();
    fs::write(folder.path().join("c.model"), vec![0; 1 << 20]).unwrap();
    fs::write(folder.path().join("d.model.new"), b"half").unwrap();
    let (models, problems) = read_all(folder.path());
    assert_eq!(models.len(), 1);
    assert!(problems.iter().all(|problem| matches!(problem, FileError::Damaged { .. })));
    assert_eq!(problems.len(), 2);
    assert_eq!(read_all(&folder.path().join("nowhere")).0.len(), 0);
}

#[test]
fn every_flipped_byte_is_refused() {
    let bytes = encode(stored()).unwrap();
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x20;
        let read = parse(path_of_nothing(), &flipped);
        assert!(matches!(read, Err(FileError::Damaged { .. })), "byte {index}: {read:?}");
    }
    for length in 0..bytes.len() {
        assert!(parse(path_of_nothing(), &bytes[..length]).is_err());
    }
}

fn with_header(version: u32, body: &[u8]) -> Vec<u8> {
    let version = version.to_le_bytes();
    [MAGIC.as_slice(), &version, &checksum(version, body).to_le_bytes(), body].concat()
}

#[test]
fn a_later_version_is_told_apart_from_damage() {
    let newer = parse(path_of_nothing(), &with_header(SCHEMA_VERSION + 1, b"anything")).unwrap_err();
    assert!(matches!(newer, FileError::Newer { found: 2, .. }));
    assert!(newer.to_string().contains("install the version that wrote it"));
}

#[test]
fn numbers_that_make_no_model_are_refused() {
    type Spoil = fn(&mut Model);
    let spoils: [Spoil; 6] = [
        |model| model.metrics.clear(),
        |model| model.gaussians.clear(),
        |model| model.calibration.limit = f64::NAN,
        |model| model.metrics.iter_mut().for_each(|metric| metric.spread = 0.0),
        |model| model.gaussians.iter_mut().for_each(|gaussian| gaussian.mean.push(0.0)),
        |model| model.gaussians.iter_mut().flat_map(|g| &mut g.covariance).for_each(Vec::clear),
    ];
    for (number, spoil) in spoils.iter().enumerate() {
        let mut stored = stored().clone();
        spoil(&mut stored.model);
        let read = parse(path_of_nothing(), &encode(&stored).unwrap());
        assert!(matches!(read, Err(FileError::Damaged { .. })), "{number}");
    }
}

#[test]
fn long_names_have_files_of_their_own() {
    let (one, other) = ("\u{e9}".repeat(200), format!("{}x", "\u{e9}".repeat(199)));
    let (one, other) = (path(Path::new(""), &one), path(Path::new(""), &other));
    assert_ne!(one, other);
    assert!(one.as_os_str().len() < 255);
}

proptest! {
    #[test]
    fn any_body_is_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(path_of_nothing(), &with_header(SCHEMA_VERSION, &body));
    }
}

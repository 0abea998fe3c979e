use std::fs;

use lorawan_link::{
    Abp, Activation, Class, DevAddr, DeviceConfig, Eui, Key, Otaa, Reason, RxParameters, Session,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

fn known(number: u64, activation: Activation) -> KnownDevice {
    let config = DeviceConfig { dev_eui: Eui::new(number), activation, class: Class::A };
    KnownDevice { name: format!("device-{number}"), config, codec: None }
}

fn abp(last_f_cnt_up: Option<u32>) -> Activation {
    Activation::Abp(Abp {
        address: DevAddr::new(0x2601_1bda),
        nwk_s_key: Key::new([1; 16]),
        app_s_key: Key::new([2; 16]),
        last_f_cnt_up,
        rx: None,
        resets: false,
    })
}

fn otaa() -> Activation {
    Activation::Otaa(Otaa { join_eui: Eui::new(1), app_key: Key::new([3; 16]) })
}

fn state(last_up: u32) -> DeviceState {
    let rx = RxParameters::of(Region::Eu868);
    let session =
        Session::new(DevAddr::new(0x2601_1bda), Key::new([1; 16]), Key::new([2; 16]), Some(last_up), rx);
    DeviceState { session: Some(session), app_nonces: 3, ..DeviceState::default() }
}

/// A folder with the file of `count` ABP devices that know their counters.
fn site(count: u64) -> (TempDir, PathBuf, Vec<KnownDevice>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lorawan.db");
    let devices: Vec<_> = (0..count).map(|number| known(number, abp(None))).collect();
    let states: Vec<_> = (0..count).map(|number| (Eui::new(number), state(number as u32 + 100))).collect();
    let mut store = Store::open(&path).unwrap();
    store.write(states.iter().map(|(device, state)| (*device, state))).unwrap();
    (folder, path, devices)
}

fn opened(path: &Path, devices: &[KnownDevice]) -> Opened {
    open(path, devices, Region::Eu868, NOW).unwrap()
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_is_not_a_database_is_kept_and_no_counter_is_reused() {
    let (folder, path, mut devices) = site(1);
    devices.push(known(7, otaa()));
    fs::write(&path, b"not a database at all, and long enough to be looked at".repeat(100)).unwrap();
    let opened = opened(&path, &devices);
    let text = opened.damage.unwrap().to_string();
    assert!(text.contains("lorawan.db.damaged") && text.contains("device-0, device-7"), "{text}");
    let [Some(abp), Some(otaa)] = &opened.states[..] else { panic!("a state for each") };
    assert!(abp.locked.is_some());
    // Minutes since 2020: more than a device can have joined.
    assert!(otaa.app_nonces > 3_000_000 && otaa.app_nonces < 1 << 24);
    drop(opened.store);
    assert_eq!(names(&folder), ["lorawan.db", "lorawan.db.damaged"]);
    // The repair is stored: the next start finds a normal file and changes nothing.
    let again = super::open(&path, &devices, Region::Eu868, NOW).unwrap();
    assert!(again.damage.is_none());
    assert_eq!(again.states, opened.states);
}

#[test]
fn of_a_damaged_page_only_its_own_devices_are_lost() {
    let (_folder, path, devices) = site(200);
    let mut bytes = fs::read(&path).unwrap();
    // SQLite's pages have 4096 bytes; the third is one of the table's leaves.
    bytes[2 * 4096..3 * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let opened = opened(&path, &devices);
    let lost = opened.states.iter().flatten().filter(|state| state.locked.is_some()).count();
    assert!(opened.damage.is_some());
    assert!((1..100).contains(&lost), "{lost}");
    for (number, found) in (0..).zip(opened.states.iter().flatten()) {
        assert!(found.locked.is_some() || *found == state(number + 100), "{number}");
    }
}

#[test]
fn a_row_that_cannot_be_read_costs_no_other() {
    let (_folder, path, devices) = site(3);
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE device SET state = '{' WHERE dev_eui = '0000000000000001'", [])
        .unwrap();
    let locked: Vec<_> =
        opened(&path, &devices).states.iter().flatten().map(|state| state.locked.is_some()).collect();
    assert_eq!(locked, [false, true, false]);
}

#[test]
fn an_interrupted_repair_starts_again() {
    let (folder, path, devices) = site(1);
    fs::write(&path, b"no database").unwrap();
    fs::write(with_suffix(&path, ".new"), b"half of a new file").unwrap();
    fs::write(with_suffix(&path, ".damaged"), b"an older one").unwrap();
    assert!(opened(&path, &devices).damage.is_some());
    assert_eq!(names(&folder), ["lorawan.db", "lorawan.db.damaged"]);
    assert_eq!(fs::read(with_suffix(&path, ".damaged")).unwrap(), b"no database");
}

#[test]
fn the_file_of_another_program_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lorawan.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (it TEXT)").unwrap();
    assert!(matches!(open(&path, &[], Region::Eu868, NOW), Err(StoreError::Foreign { .. })));
    assert_eq!(names(&folder), ["lorawan.db"]);
}

#[test]
fn the_reason_that_the_ledger_has_for_a_locked_devices_frame_is_damage() {
    let mut refusals = super::super::refusals::RefusalCounts::default();
    refusals.refused(Reason::CountersLost, tokio::time::Instant::now());
    assert_eq!(refusals.take(), [(gateway_core::DropReason::Damaged, 1)]);
}

use std::os::unix::fs::PermissionsExt as _;

use lorawan_link::{DevAddr, Key, Region, RxParameters, Session};

use super::*;

fn state(last_up: u32) -> DeviceState {
    let key = || "2b7e151628aed2a6abf7158809cf4f3c".parse::<Key>().unwrap();
    let rx = RxParameters::of(Region::Eu868);
    let session = Session::new(DevAddr::new(0x2601_1bda), key(), key(), Some(last_up), rx);
    DeviceState { session: Some(session), app_nonces: 3, ..DeviceState::default() }
}

#[test]
fn the_newest_state_of_each_device_is_read_again_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lorawan.db");
    let [one, two, three] = [1, 2, 3].map(Eui::new);
    let mut store = Store::open(&path).unwrap();
    store.write([(one, &state(7)), (two, &state(8))]).unwrap();
    store.write([(one, &state(9))]).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.read(one).unwrap(), Some(state(9)));
    assert_eq!(store.read(two).unwrap(), Some(state(8)));
    assert_eq!(store.read(three).unwrap(), None);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

#[test]
fn a_file_of_another_program_is_left_alone_and_a_broken_row_names_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE mine (it TEXT)").unwrap();
    assert!(matches!(Store::open(&foreign), Err(StoreError::Foreign { .. })));
    let path = folder.path().join("lorawan.db");
    let mut store = Store::open(&path).unwrap();
    let device = Eui::new(1);
    store.write([(device, &state(1))]).unwrap();
    store.connection.execute("UPDATE device SET state = '{'", []).unwrap();
    assert!(store.read(device).unwrap_err().to_string().contains("0000000000000001"));
}

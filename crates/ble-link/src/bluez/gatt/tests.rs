#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod bluez;

use bluez::{ADDRESS, Behaviour, Bluez};

use crate::error::BluetoothError;
use crate::gatt::{Characteristic, DeviceEvent, GattError, Notifications, Peripheral};
use crate::uuid::Uuid;

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// The characteristic with this UUID and instance.
fn find<'p>(peripheral: &'p Peripheral, text: &str, instance: u8) -> &'p Characteristic {
    let mut all = peripheral.characteristics().iter();
    all.find(|it| it.uuid == uuid(text) && it.instance == instance).unwrap()
}

async fn connected(bluez: &Bluez) -> (Peripheral, Notifications) {
    Peripheral::connect(&bluez.adapter().await, &ADDRESS.to_lowercase()).await.unwrap()
}

#[tokio::test]
async fn a_connected_device_lists_its_characteristics_in_handle_order() {
    let bluez = Bluez::start().await;
    let (peripheral, _values) = connected(&bluez).await;
    let listed: Vec<_> = peripheral
        .characteristics()
        .iter()
        .map(|it| {
            (
                it.uuid.to_string(),
                it.service.to_string(),
                it.instance,
                it.can_read,
                it.can_notify,
                it.is_writable(),
            )
        })
        .collect();
    let row = |uuid: &str, service: &str, instance, reads, notifies, writes| {
        (uuid.to_owned(), service.to_owned(), instance, reads, notifies, writes)
    };
    let expected = [
        row("2a6e", "181a", 1, true, true, false),
        row("2a6e", "181a", 2, true, false, false),
        row("2a6f", "181a", 1, true, true, false),
        row("2a56", "1815", 1, false, false, true),
        row("2a19", "1815", 1, true, false, false),
        row("ef090080-11d6-42ba-93b8-9dd7ec090aa9", "1815", 1, false, false, true),
    ];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn waits_for_services_that_are_discovered_late() {
    let mut bluez = Bluez::with(Behaviour::Answers, true).await;
    let adapter = bluez.adapter().await;
    let connecting = tokio::spawn(async move { Peripheral::connect(&adapter, ADDRESS).await.map(|it| it.0) });
    assert_eq!(bluez.call().await, "Connect");
    bluez.resolved().await;
    let peripheral = connecting.await.unwrap().unwrap();
    assert_eq!(peripheral.characteristics().len(), 6);
}

#[tokio::test]
async fn a_value_that_was_read_is_not_reported_again_and_a_notified_value_is_reported_once() {
    let bluez = Bluez::start().await;
    let (peripheral, mut values) = connected(&bluez).await;
    let temperature = find(&peripheral, "2a6e", 1);
    // Not subscribed yet, so not reported.
    bluez.value("service000a/char000b", &[9, 9]).await;
    assert_eq!(peripheral.read(temperature).await.unwrap(), [9, 9]);
    peripheral.subscribe(temperature).await.unwrap();
    bluez.value("service000a/char0010", &[7, 7]).await;
    bluez.value("service000a/char000b", &[3, 4]).await;
    let DeviceEvent::Value { source, value } = values.next().await else { panic!("the device is gone") };
    assert_eq!((peripheral.characteristic(source), &*value), (Some(temperature), &[3, 4][..]));
    bluez.disconnected().await;
    assert_eq!(values.next().await, DeviceEvent::Disconnected { reason: "it has disconnected" });
}

#[tokio::test]
async fn a_value_notified_between_the_read_and_the_subscription_is_not_lost() {
    let bluez = Bluez::start().await;
    let (peripheral, mut values) = connected(&bluez).await;
    let temperature = find(&peripheral, "2a6e", 1);
    peripheral.read(temperature).await.unwrap();
    bluez.value("service000a/char000b", &[3, 4]).await;
    peripheral.subscribe(temperature).await.unwrap();
    bluez.value("service000a/char000b", &[5, 6]).await;
    for expected in [[3, 4], [5, 6]] {
        let DeviceEvent::Value { value, .. } = values.next().await else { panic!("the device is gone") };
        assert_eq!(value, expected);
    }
}

#[tokio::test]
async fn values_of_a_characteristic_whose_subscription_was_refused_come_from_reads_alone() {
    let bluez = Bluez::start().await;
    let (peripheral, mut values) = connected(&bluez).await;
    let temperature = find(&peripheral, "2a6e", 1);
    peripheral.read(temperature).await.unwrap();
    bluez.behaviour(Behaviour::Refuses("NotPermitted", "Not permitted"));
    peripheral.subscribe(temperature).await.unwrap_err();
    bluez.behaviour(Behaviour::Answers);
    bluez.value("service000a/char000b", &[9, 9]).await;
    assert_eq!(peripheral.read(temperature).await.unwrap(), [9, 9]);
    bluez.disconnected().await;
    assert_eq!(values.next().await, DeviceEvent::Disconnected { reason: "it has disconnected" });
}

#[tokio::test]
async fn the_reason_of_a_disconnection_is_reported() {
    let bluez = Bluez::start().await;
    let (_peripheral, mut values) = connected(&bluez).await;
    bluez.removed().await;
    assert_eq!(values.next().await, DeviceEvent::Disconnected { reason: "bluetoothd has removed it" });

    let bluez = Bluez::start().await;
    let (peripheral, mut values) = connected(&bluez).await;
    bluez.end().await;
    assert_eq!(values.next().await, DeviceEvent::Disconnected { reason: "bluetoothd has ended" });
    let error = peripheral.read(find(&peripheral, "2a19", 1)).await.unwrap_err();
    assert!(matches!(error, GattError::Bluetooth(BluetoothError::NoBluez)), "{error:?}");
}

#[tokio::test]
async fn values_that_are_not_taken_are_counted_and_block_nothing() {
    let bluez = Bluez::start().await;
    let (peripheral, mut values) = connected(&bluez).await;
    let temperature = find(&peripheral, "2a6e", 1);
    peripheral.subscribe(temperature).await.unwrap();
    for number in 0..700_u16 {
        bluez.value("service000a/char000b", &number.to_le_bytes()).await;
    }
    // The answer arrives after them.
    assert_eq!(peripheral.read(find(&peripheral, "2a19", 1)).await.unwrap(), [1, 2]);
    bluez.disconnected().await;
    let mut taken = 0;
    while let DeviceEvent::Value { value, .. } = values.next().await {
        assert_eq!(value, u16::to_le_bytes(taken), "the oldest are kept, in their order");
        taken += 1;
    }
    assert!(taken >= 64, "{taken}");
    assert_eq!(values.lost() + u64::from(taken), 700);
}

#[tokio::test]
async fn a_value_is_written_with_an_answer_where_the_characteristic_has_that() {
    let mut bluez = Bluez::start().await;
    let (peripheral, _values) = connected(&bluez).await;
    assert_eq!(bluez.call().await, "Connect");
    peripheral.write(find(&peripheral, "2a56", 1), &[1]).await.unwrap();
    assert_eq!(bluez.call().await, "WriteValue 2a56 [1] request");
    let own = "ef090080-11d6-42ba-93b8-9dd7ec090aa9";
    peripheral.write(find(&peripheral, own, 1), &[2, 3]).await.unwrap();
    assert_eq!(bluez.call().await, format!("WriteValue {own} [2, 3] command"));
    let read_only = peripheral.write(find(&peripheral, "2a19", 1), &[1]).await.unwrap_err();
    assert!(matches!(read_only, GattError::NotPermitted { .. }), "{read_only}");
    let long = peripheral.write(find(&peripheral, "2a56", 1), &[0; 513]).await.unwrap_err();
    assert_eq!(long.to_string(), "513 bytes are too many for a characteristic; 512 are allowed");
}

#[tokio::test]
async fn an_error_says_what_to_do() {
    let bluez = Bluez::start().await;
    let adapter = bluez.adapter().await;
    let unknown = Peripheral::connect(&adapter, "00:00:00:00:00:01").await.unwrap_err();
    assert!(
        unknown.to_string().starts_with("bluetoothd has not discovered 00:00:00:00:00:01 yet"),
        "{unknown}"
    );
    let (peripheral, _values) = connected(&bluez).await;
    bluez.behaviour(Behaviour::Refuses("NotPermitted", "Not paired"));
    let unpaired = peripheral.read(find(&peripheral, "2a19", 1)).await.unwrap_err();
    assert!(unpaired.to_string().contains("`bluetoothctl pair A4:C1:38:0A:0B:0C`"), "{unpaired}");
    bluez.behaviour(Behaviour::Refuses("NotPermitted", "Read not permitted"));
    let refused = peripheral.subscribe(find(&peripheral, "2a6f", 1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "characteristic 2a6f: StartNotify is not permitted: Read not permitted");
    bluez.behaviour(Behaviour::Refuses("Failed", "Not connected"));
    let gone = peripheral.read(find(&peripheral, "2a19", 1)).await.unwrap_err();
    assert!(matches!(gone, GattError::Disconnected { .. }), "{gone:?}");
}

#[tokio::test]
async fn distinguishes_a_busy_adapter_from_a_device_out_of_reach() {
    for (name, reason, busy) in [
        ("InProgress", "Operation already in progress", true),
        ("Failed", "le-connection-concurrent-connection-limit", true),
        ("Failed", "le-connection-abort-by-local", false),
    ] {
        let bluez = Bluez::with(Behaviour::Refuses(name, reason), false).await;
        let error = Peripheral::connect(&bluez.adapter().await, ADDRESS).await.unwrap_err();
        assert_eq!(matches!(error, GattError::Busy { .. }), busy, "{reason}: {error}");
        assert_eq!(matches!(error, GattError::Unreachable { .. }), !busy, "{reason}: {error}");
    }
}

#[tokio::test]
async fn a_device_that_never_answers_times_out_and_is_disconnected() {
    let mut bluez = Bluez::with(Behaviour::Hangs, false).await;
    let adapter = bluez.adapter().await;
    let connecting = tokio::spawn(async move { Peripheral::connect(&adapter, ADDRESS).await.map(drop) });
    assert_eq!(bluez.call().await, "Connect");
    // With a paused clock the time limit passes at once.
    tokio::time::pause();
    let error = connecting.await.unwrap().unwrap_err();
    tokio::time::resume();
    assert!(error.to_string().contains("it did not answer in time"), "{error}");
    assert_eq!(bluez.call().await, "Disconnect");
}

#[tokio::test]
async fn an_attempt_that_is_dropped_is_disconnected() {
    let mut bluez = Bluez::with(Behaviour::Hangs, false).await;
    let adapter = bluez.adapter().await;
    let connecting = tokio::spawn(async move { Peripheral::connect(&adapter, ADDRESS).await.map(drop) });
    assert_eq!(bluez.call().await, "Connect");
    connecting.abort();
    assert_eq!(bluez.call().await, "Disconnect");
}

#[tokio::test]
async fn a_read_of_a_device_that_hangs_times_out() {
    let bluez = Bluez::start().await;
    let (peripheral, _values) = connected(&bluez).await;
    bluez.behaviour(Behaviour::Hangs);
    tokio::time::pause();
    let error = peripheral.read(find(&peripheral, "2a19", 1)).await.unwrap_err();
    assert!(
        matches!(error, GattError::Bluetooth(BluetoothError::Timeout { call: "ReadValue" })),
        "{error:?}"
    );
}

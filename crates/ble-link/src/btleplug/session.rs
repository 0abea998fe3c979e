//! Scanning through btleplug: its events become scan results.
//!
//! The parts of one advertisement come as several events, one behind the other. They are put together again.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use btleplug::api::{
    Central as _, CentralEvent, CentralState, Peripheral as _, PeripheralProperties, ScanFilter,
};
use btleplug::platform::PeripheralId;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::time::{Instant, Interval, interval};

use super::{BtleplugAdapter, address, limited};
use crate::backend::{Adapter as _, Scanning, Session, SessionEvent};
use crate::error::BluetoothError;
use crate::radio::{RadioState, ScanMode, until};
use crate::scan_result::{MAX_DATA, MAX_ENTRIES, ScanResult};

/// The most devices kept. If there are more, all are forgotten and asked for again.
const MAX_DEVICES: usize = 10_000;
/// How long further parts of an advertisement are waited for.
const MAX_PART_DELAY: Duration = Duration::from_millis(50);
/// How often the scan is started again in case it has stopped: on Linux the library does not report that it has, nor that
/// bluetoothd has ended.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How often a device without a name is asked for one: there is no event of it.
const ASK_NAME_EVERY: Duration = Duration::from_secs(2);

type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;
/// Data by service or by company.
type Entries<K> = Vec<(K, Vec<u8>)>;

pub(super) struct BtleplugSession {
    adapter: BtleplugAdapter,
    scan: ScanMode,
    events: Events,
    /// Taken from `events` and not handled yet.
    event: Option<CentralEvent>,
    devices: HashMap<PeripheralId, KnownDevice>,
    /// An advertisement of which further parts may follow, and until when.
    pending: Option<(Instant, PeripheralId, ScanResult)>,
    is_scanning: bool,
    check: Interval,
}

/// What is kept of a device between advertisements.
struct KnownDevice {
    address: Arc<str>,
    rssi: Option<i16>,
    name: Option<Arc<str>>,
    services: Arc<[u128]>,
    asked_at: Instant,
}

impl BtleplugSession {
    /// Opens a session, and returns the devices that the system has received recently.
    pub(super) async fn start(
        adapter: BtleplugAdapter,
        scan: ScanMode,
    ) -> Result<(Self, Vec<ScanResult>), BluetoothError> {
        let events = limited("the events", adapter.central.events()).await?;
        let mut session = Self {
            adapter,
            scan,
            events,
            event: None,
            devices: HashMap::new(),
            pending: None,
            is_scanning: false,
            check: interval(CHECK_EVERY),
        };
        let mut results = Vec::new();
        // The devices that are known already come first. They are asked for before the scan changes what is known of them.
        while let Some(Some(event)) = session.events.next().now_or_never() {
            let id = subject(&event).cloned();
            session.event = Some(event);
            if let Some(id) = id {
                results.extend(session.ask(&id).await);
            }
        }
        session.event = None;
        Ok((session, results))
    }

    /// Asks for a device that is not known, or whose name is not; one that has gone meanwhile stays unknown. Returns what a
    /// new device has sent.
    async fn ask(&mut self, id: &PeripheralId) -> Option<ScanResult> {
        let now = Instant::now();
        let is_known = |device: &KnownDevice| device.name.is_some() || now < device.asked_at + ASK_NAME_EVERY;
        let is_new = matches!(self.event, Some(CentralEvent::DeviceDiscovered(_)));
        if !is_new && self.devices.get(id).is_some_and(is_known) {
            return None;
        }
        let peripheral = limited("GetAll", self.adapter.central.peripheral(id)).await.ok()?;
        let properties = limited("GetAll", peripheral.properties()).await.ok()??;
        if self.devices.len() >= MAX_DEVICES {
            self.devices.clear();
        }
        let device = KnownDevice {
            address: address(&peripheral).into(),
            rssi: properties.rssi,
            name: name(&properties).map(Into::into),
            services: services(properties.services.iter().map(|uuid| uuid.as_u128())),
            asked_at: now,
        };
        // What was known at discovery comes by no event of its own. A device that is remembered, but not received, has
        // no strength.
        let is_near = is_new && properties.rssi.is_some();
        let service_data = properties.service_data.into_iter().filter(|_| is_near);
        let result = ScanResult {
            service_data: entries(service_data.map(|(uuid, data)| (uuid.as_u128(), data))),
            manufacturer_data: entries(properties.manufacturer_data.into_iter().filter(|_| is_near)),
            ..device.result()
        };
        self.devices.insert(id.clone(), device);
        let has_data = !result.service_data.is_empty() || !result.manufacturer_data.is_empty();
        has_data.then_some(result)
    }

    /// What an event means for the radio, if anything yet.
    fn read(&mut self, event: CentralEvent) -> Option<SessionEvent> {
        match event {
            CentralEvent::StateUpdate(CentralState::PoweredOff) => Some(SessionEvent::Stopped),
            CentralEvent::StateUpdate(CentralState::PoweredOn) => Some(SessionEvent::Changed),
            CentralEvent::DeviceDiscovered(id) => self.devices.get(&id)?.rssi.map(|_| SessionEvent::Presence),
            CentralEvent::RssiUpdate { id, rssi } => {
                self.devices.get_mut(&id)?.rssi = Some(rssi);
                Some(SessionEvent::Presence)
            }
            CentralEvent::ServicesAdvertisement { id, services: uuids } => {
                self.devices.get_mut(&id)?.services = services(uuids.iter().map(|uuid| uuid.as_u128()));
                None
            }
            CentralEvent::ManufacturerDataAdvertisement { id, manufacturer_data } => {
                self.add_part(id, |result| &mut result.manufacturer_data, entries(manufacturer_data))
            }
            CentralEvent::ServiceDataAdvertisement { id, service_data } => {
                let data = entries(service_data.into_iter().map(|(uuid, data)| (uuid.as_u128(), data)));
                self.add_part(id, |result| &mut result.service_data, data)
            }
            _ => None,
        }
    }

    /// Adds data to the advertisement that waits, if it is of this device and lacks this part. Otherwise that one is
    /// complete, and a new one begins.
    fn add_part<K>(
        &mut self,
        id: PeripheralId,
        part: fn(&mut ScanResult) -> &mut Entries<K>,
        data: Entries<K>,
    ) -> Option<SessionEvent> {
        let waiting = self.pending.as_mut().filter(|(_, waiting, _)| *waiting == id);
        if let Some(missing) = waiting.map(|(_, _, result)| part(result)).filter(|part| part.is_empty()) {
            *missing = data;
            return None;
        }
        let mut result = self.devices.get(&id)?.result();
        *part(&mut result) = data;
        let pending = (Instant::now() + MAX_PART_DELAY, id, result);
        self.pending.replace(pending).map(|(_, _, result)| SessionEvent::ScanResult(result))
    }
}

#[async_trait]
impl Session for BtleplugSession {
    async fn next(&mut self) -> Result<SessionEvent, BluetoothError> {
        loop {
            // An event stays in its place until it is handled, so that none is lost if this call is cancelled.
            if let Some(id) = self.event.as_ref().and_then(subject).cloned()
                && let Some(result) = self.ask(&id).await
            {
                self.event = None;
                return Ok(SessionEvent::ScanResult(result));
            }
            if let Some(event) = self.event.take()
                && let Some(event) = self.read(event)
            {
                return Ok(event);
            }
            let complete_at = self.pending.as_ref().map(|(due, ..)| *due);
            tokio::select! {
                event = self.events.next() => self.event = Some(event.ok_or(BluetoothError::BusClosed)?),
                () = until(complete_at) => {
                    if let Some((_, _, result)) = self.pending.take() {
                        return Ok(SessionEvent::ScanResult(result));
                    }
                }
                _ = self.check.tick(), if self.is_scanning && cfg!(target_os = "linux") => {
                    match start_scan(&self.adapter).await {
                        Ok(false) => {}
                        Ok(true) => return Ok(SessionEvent::Restarted),
                        Err(_) => return Ok(SessionEvent::Changed),
                    }
                }
            }
        }
    }

    async fn ensure_scanning(&mut self) -> Result<Scanning, BluetoothError> {
        if self.scan == ScanMode::Off {
            return Ok(Scanning { state: RadioState::Idle, was_restarted: false });
        }
        let was_scanning = std::mem::take(&mut self.is_scanning);
        let did_not_run = start_scan(&self.adapter).await?;
        if !self.adapter.is_powered().await? {
            return Err(BluetoothError::PoweredOff { adapter: self.adapter.name().to_owned() });
        }
        self.is_scanning = true;
        Ok(Scanning { state: RadioState::Active, was_restarted: was_scanning && did_not_run })
    }

    async fn stop_scan(&mut self) {
        self.is_scanning = false;
        let _ = limited("StopDiscovery", self.adapter.central.stop_scan()).await;
    }

    /// The library cannot switch an adapter off.
    async fn power_cycle(&mut self) -> Result<(), BluetoothError> {
        Ok(())
    }

    fn can_power_cycle(&self) -> bool {
        false
    }

    async fn close(self: Box<Self>) {}
}

/// Starts the scan. Returns whether it did not run.
async fn start_scan(adapter: &BtleplugAdapter) -> Result<bool, BluetoothError> {
    let started = limited("StartDiscovery", adapter.central.start_scan(ScanFilter::default())).await;
    let name_of = || adapter.name().to_owned();
    let error = match started {
        Ok(()) => return Ok(true),
        Err(error) => error,
    };
    match &error {
        BluetoothError::Refused { name, .. } => match name.as_str() {
            "org.bluez.Error.InProgress" => Ok(false),
            "org.freedesktop.DBus.Error.UnknownObject" | "org.freedesktop.DBus.Error.UnknownMethod" => {
                Err(BluetoothError::Unplugged { adapter: name_of() })
            }
            _ if !adapter.is_powered().await? => Err(BluetoothError::PoweredOff { adapter: name_of() }),
            _ => Err(error),
        },
        // The connection itself may be dead, so the session ends.
        BluetoothError::Timeout { call } => Err(BluetoothError::DBus { call, source: error.into() }),
        _ => Err(error),
    }
}

/// The device whose advertisement an event is a part of.
fn subject(event: &CentralEvent) -> Option<&PeripheralId> {
    match event {
        CentralEvent::DeviceDiscovered(id)
        | CentralEvent::RssiUpdate { id, .. }
        | CentralEvent::ServicesAdvertisement { id, .. }
        | CentralEvent::ManufacturerDataAdvertisement { id, .. }
        | CentralEvent::ServiceDataAdvertisement { id, .. } => Some(id),
        _ => None,
    }
}

impl KnownDevice {
    /// A scan result without data.
    fn result(&self) -> ScanResult {
        ScanResult {
            address: Arc::clone(&self.address),
            rssi: self.rssi,
            name: self.name.clone(),
            services: Arc::clone(&self.services),
            service_data: Vec::new(),
            manufacturer_data: Vec::new(),
        }
    }
}

/// On Linux `local_name` would be the address if there is no name.
fn name(properties: &PeripheralProperties) -> Option<&str> {
    let other = properties.local_name.as_deref().filter(|_| cfg!(not(target_os = "linux")));
    properties.advertisement_name.as_deref().or(other)
}

fn services(uuids: impl Iterator<Item = u128>) -> Arc<[u128]> {
    uuids.take(MAX_ENTRIES).collect()
}

fn entries<K>(entries: impl IntoIterator<Item = (K, Vec<u8>)>) -> Entries<K> {
    entries.into_iter().take(MAX_ENTRIES).filter(|(_, data)| data.len() <= MAX_DATA).collect()
}

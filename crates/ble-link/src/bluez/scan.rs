//! Scanning through bluetoothd: what it reports, and the scan that it runs.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::monitors::MonitorEvent;
use super::scanner::Scanner;
use super::session::BluezSession;
use super::{ADAPTER, BluezAdapter, flag};
use crate::backend::{Adapter as _, Scanning, Session, SessionEvent};
use crate::error::BluetoothError;
use crate::radio::{RadioOptions, until};
use crate::scan_result::ScanResult;

/// How long the adapter stays off during a power cycle.
const POWER_OFF_TIME: Duration = Duration::from_secs(1);

pub(super) struct BluezScan {
    adapter: BluezAdapter,
    session: BluezSession,
    scanner: Scanner,
}

impl BluezScan {
    /// Opens a session, and returns the devices that bluetoothd has received recently.
    pub(super) async fn start(
        adapter: BluezAdapter,
        options: &RadioOptions,
    ) -> Result<(Self, Vec<ScanResult>), BluetoothError> {
        let (session, results) = BluezSession::start(adapter.clone()).await?;
        let scanner = Scanner::new(adapter.clone(), options.scan, options.patterns.clone());
        Ok((Self { adapter, session, scanner }, results))
    }

    async fn power_on(&self) -> Result<(), BluetoothError> {
        self.adapter.set_powered(true).await.map_err(|error| match error {
            BluetoothError::Refused { .. } => {
                BluetoothError::PoweredOff { adapter: self.adapter.name().to_owned() }
            }
            error => error,
        })
    }
}

#[async_trait]
impl Session for BluezScan {
    async fn next(&mut self) -> Result<SessionEvent, BluetoothError> {
        loop {
            if let Some(result) = self.session.take_repeat(Instant::now()) {
                return Ok(SessionEvent::ScanResult(result));
            }
            let repeat_due = self.session.next_repeat_due();
            tokio::select! {
                event = self.session.next() => return event,
                event = self.scanner.next_monitor_event() => match event {
                    MonitorEvent::DeviceFound(device) => {
                        self.session.device_found(device, Instant::now());
                        return Ok(SessionEvent::Presence);
                    }
                    MonitorEvent::Released => {
                        self.scanner.monitors_released();
                        return Ok(SessionEvent::Changed);
                    }
                },
                () = until(repeat_due) => {}
            }
        }
    }

    async fn ensure_scanning(&mut self) -> Result<Scanning, BluetoothError> {
        let properties = self.adapter.properties(&self.adapter.path, ADAPTER).await?;
        if !flag(&properties, "Powered").unwrap_or_default() {
            self.scanner.reset();
            self.power_on().await?;
        }
        let discovers = flag(&properties, "Discovering").unwrap_or_default();
        let was_restarted = self.scanner.is_discovering() && !discovers;
        if was_restarted {
            self.scanner.stop().await;
        }
        Ok(Scanning { state: self.scanner.start().await?, was_restarted })
    }

    async fn stop_scan(&mut self) {
        self.scanner.stop().await;
    }

    async fn power_cycle(&mut self) -> Result<(), BluetoothError> {
        // An adapter that refuses may be off already.
        let _ = self.adapter.set_powered(false).await;
        sleep(POWER_OFF_TIME).await;
        self.power_on().await
    }

    async fn close(mut self: Box<Self>) {
        self.session.close().await;
    }
}

//! One connected device: when it is connected, read and written.
//!
//! If one of its characteristics notifies, it stays connected. Otherwise it is read and disconnected until the next time.
//! After an error it is tried again after a growing pause with jitter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ble_link::gatt::{Characteristic, DeviceEvent, GattError, Notifications, Peripheral};
use codecs::gatt;
use gateway_core::Backoff;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::commands::WriteRequest;
use super::connections::{DevicePlan, Shared, Value};
use super::pool::{ConnectionPermit, Purpose};

/// The first pause after an error.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest if an attempt costs no radio time, or if the error is likely to pass.
const SHORT_PAUSE: Duration = Duration::from_secs(30);

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Gatt(#[from] GattError),
    #[error("none of its characteristics is read: it has {has}; name a codec for one in `codecs`{of}")]
    NothingToRead { has: String, of: String },
    #[error("it could not be connected in time")]
    Late,
    #[error("Riser stops")]
    Stopped,
}

/// One device.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Shared,
    address: Arc<str>,
    followed: Option<DevicePlan>,
    requests: mpsc::Receiver<WriteRequest>,
    backoff: Backoff,
    /// It has characteristics that notify.
    stays: bool,
    /// The last error, until it works again.
    problem: Option<String>,
}

impl Connection {
    pub(super) const fn new(
        shared: Shared,
        address: Arc<str>,
        followed: Option<DevicePlan>,
        requests: mpsc::Receiver<WriteRequest>,
    ) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { shared, address, followed, requests, backoff, stays: false, problem: None }
    }

    /// Runs until `stop`. Then queued commands are answered as not done, and the device is disconnected.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.serve()).await;
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            request.not_connected();
        }
    }

    async fn serve(&mut self) {
        let mut due = self.followed.is_some().then(Instant::now);
        self.report("waiting", None);
        loop {
            let request = tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => Some(request),
                    None => return,
                },
                () = until(due) => None,
            };
            let started = Instant::now();
            let ended = self.connect_once(request).await;
            let next = match ended {
                Ok(pause) => started + pause,
                Err(failure) => Instant::now() + self.failed(&failure),
            };
            due = self.followed.is_some().then_some(next);
        }
    }

    /// Connects, executes commands and reads. Returns when to do it again.
    async fn connect_once(&mut self, request: Option<WriteRequest>) -> Result<Duration, Failure> {
        let mut request = request;
        let (mut permit, connected) = match self.connect(&mut request).await {
            Ok(connected) => connected,
            Err(failure) => {
                let reason = gateway_core::chain(&failure);
                request.into_iter().for_each(|request| request.unreachable(&reason));
                while let Ok(request) = self.requests.try_recv() {
                    request.unreachable(&reason);
                }
                return Err(failure);
            }
        };
        let (peripheral, mut values) = connected;
        if let Some(request) = request {
            request.execute(&peripheral).await;
        }
        let done = match self.followed.clone() {
            Some(followed) => self.follow(&followed, &peripheral, &mut values, &mut permit).await,
            None => Ok(Duration::ZERO),
        };
        self.execute_all(&peripheral).await;
        peripheral.close().await;
        if done.is_ok() {
            self.report("idle", None);
        }
        done
    }

    /// Waits for a permit and connects. A command that arrives meanwhile has priority.
    async fn connect(
        &mut self,
        request: &mut Option<WriteRequest>,
    ) -> Result<(ConnectionPermit, (Peripheral, Notifications)), Failure> {
        let due = request.as_ref().map(|request| request.due);
        let connecting = async {
            let link =
                self.shared.link.wait_for(Option::is_some).await.map_err(|_| Failure::Stopped)?.clone();
            let link = link.ok_or(Failure::Stopped)?;
            let permit = match request {
                Some(_) => self.shared.pool.take(Purpose::Command).await,
                None => tokio::select! {
                    permit = turn(&self.shared, self.stays, self.followed.as_ref()) => permit,
                    Some(command) = self.requests.recv() => {
                        let due = request.insert(command).due;
                        let permit = timeout_at(due, self.shared.pool.take(Purpose::Command)).await;
                        permit.map_err(|_| Failure::Late)?
                    }
                },
            };
            let permit = permit.ok_or(Failure::Stopped)?;
            if self.followed.is_some() {
                self.shared.condition.part(&self.address, "connecting", None);
            }
            Ok((permit, Peripheral::connect(&link, &self.address).await?))
        };
        match due {
            Some(due) => timeout_at(due, connecting).await.map_err(|_| Failure::Late)?,
            None => connecting.await,
        }
    }

    /// Reads what can be read, and stays connected if the device notifies and there is a permit for that.
    async fn follow(
        &mut self,
        followed: &DevicePlan,
        peripheral: &Peripheral,
        values: &mut Notifications,
        permit: &mut ConnectionPermit,
    ) -> Result<Duration, Failure> {
        let wanted: Vec<_> = wanted(followed, peripheral).collect();
        if wanted.is_empty() {
            return Err(nothing_to_read(followed, peripheral));
        }
        self.stays = wanted.iter().any(|characteristic| characteristic.can_notify);
        let readable: Vec<_> =
            wanted.iter().copied().filter(|characteristic| characteristic.can_read).collect();
        let problem = self.read_all(followed, peripheral, &readable).await?;
        if !self.stays || !self.shared.pool.make_lasting(permit) {
            self.succeeded(problem);
            return Ok(followed.every);
        }
        let mut subscribed = Vec::new();
        let mut refused = None;
        for characteristic in wanted.iter().filter(|characteristic| characteristic.can_notify) {
            match peripheral.subscribe(characteristic).await {
                Ok(()) => subscribed.push(characteristic.uuid),
                Err(error) => refused = Some(tolerate(error)?),
            }
        }
        self.succeeded(problem.or(refused));
        if subscribed.is_empty() {
            return Ok(followed.every);
        }
        let polled: Vec<_> =
            readable.into_iter().filter(|it| !subscribed.contains(&it.uuid) || !it.can_notify).collect();
        self.stay(followed, peripheral, values, &polled).await
    }

    /// Forwards notified values and reads the rest, until the device disconnects or its turn is over.
    async fn stay(
        &mut self,
        followed: &DevicePlan,
        peripheral: &Peripheral,
        values: &mut Notifications,
        polled: &[&Characteristic],
    ) -> Result<Duration, Failure> {
        let turn_over = Instant::now() + followed.every;
        let pool = self.shared.pool.clone();
        let reclaimed = pool.reclaimed(turn_over);
        tokio::pin!(reclaimed);
        let mut read_at = (!polled.is_empty()).then_some(turn_over);
        let mut lost = 0;
        loop {
            tokio::select! {
                event = values.next() => match event {
                    DeviceEvent::Value { source, value } => {
                        if let Some(characteristic) = peripheral.characteristic(source) {
                            self.forward(followed, characteristic, value).await?;
                        }
                        let now = values.lost();
                        self.shared.lost.fetch_add(now.saturating_sub(lost), Ordering::Relaxed);
                        lost = now;
                    }
                    DeviceEvent::Disconnected { reason } => {
                        let address = self.address.to_string();
                        return Err(GattError::Disconnected { address, reason }.into());
                    }
                },
                Some(request) = self.requests.recv() => request.execute(peripheral).await,
                () = until(read_at) => {
                    read_at = Some(Instant::now() + followed.every);
                    let problem = self.read_all(followed, peripheral, polled).await?;
                    self.succeeded(problem);
                }
                // Another device's turn; then this one waits again.
                () = &mut reclaimed => return Ok(Duration::ZERO),
            }
        }
    }

    /// Reads these characteristics. Returns the last error if some failed; fails if all did.
    async fn read_all(
        &self,
        followed: &DevicePlan,
        peripheral: &Peripheral,
        readable: &[&Characteristic],
    ) -> Result<Option<GattError>, Failure> {
        let (mut problem, mut read) = (None, 0);
        for characteristic in readable {
            match peripheral.read(characteristic).await {
                Ok(value) => {
                    self.forward(followed, characteristic, value).await?;
                    read += 1;
                }
                Err(error) => problem = Some(tolerate(error)?),
            }
        }
        match problem {
            Some(error) if read == 0 => Err(error.into()),
            problem => Ok(problem),
        }
    }

    async fn forward(
        &self,
        followed: &DevicePlan,
        from: &Characteristic,
        value: Vec<u8>,
    ) -> Result<(), Failure> {
        let characteristic = match from.instance {
            1 => from.uuid.to_string(),
            which => format!("{}/{which}", from.uuid),
        };
        let value = Value {
            device: Arc::clone(&self.address),
            characteristic: characteristic.into(),
            codec: followed.codecs.get(&from.uuid).copied().unwrap_or(self.shared.codec),
            value: value.into(),
        };
        self.shared.values.send(value).await.map_err(|_| Failure::Stopped)
    }

    async fn execute_all(&mut self, peripheral: &Peripheral) {
        while let Ok(request) = self.requests.try_recv() {
            request.execute(peripheral).await;
        }
    }

    /// Values were received. `problem` concerns some of the characteristics.
    fn succeeded(&mut self, problem: Option<GattError>) {
        self.backoff.reset();
        if self.problem.take().is_some() {
            info!(adapter = %self.shared.adapter, device = %self.address, "ble: connected");
        }
        self.report("connected", problem.map(|error| gateway_core::chain(&error)));
    }

    /// Reports an error, and returns how long to wait.
    fn failed(&mut self, failure: &Failure) -> Duration {
        let text = gateway_core::chain(failure);
        if self.followed.is_some() && self.problem.as_ref() != Some(&text) {
            warn!(adapter = %self.shared.adapter, device = %self.address, "ble: {text}; tried again until it works");
        }
        self.problem = Some(text.clone());
        self.report("down", Some(text));
        let pause = self.backoff.next_wait(rand::random());
        match failure {
            Failure::Gatt(
                GattError::Busy { .. } | GattError::NotDiscovered { .. } | GattError::Bluetooth(_),
            ) => pause.min(SHORT_PAUSE),
            _ => pause,
        }
    }

    fn report(&self, state: &'static str, problem: Option<String>) {
        if self.followed.is_some() {
            self.shared.condition.part(&self.address, state, problem);
        }
    }
}

/// Waits for a permit. A device that is to stay connected is only read if it waits for too long.
async fn turn(shared: &Shared, stays: bool, followed: Option<&DevicePlan>) -> Option<ConnectionPermit> {
    let every = followed.map_or(Duration::ZERO, |followed| followed.every);
    if stays && let Ok(permit) = timeout(every, shared.pool.take(Purpose::Stay)).await {
        return permit;
    }
    shared.pool.take(Purpose::Read).await
}

/// The characteristics that are used: those with a codec.
fn wanted<'p>(
    followed: &'p DevicePlan,
    peripheral: &'p Peripheral,
) -> impl Iterator<Item = &'p Characteristic> {
    of_service(followed, peripheral).filter(|characteristic| {
        let uuid = characteristic.uuid;
        let has_codec = followed.codecs.contains_key(&uuid) || gatt::reads(&uuid.to_string());
        has_codec && (characteristic.can_read || characteristic.can_notify)
    })
}

fn of_service<'p>(
    followed: &'p DevicePlan,
    peripheral: &'p Peripheral,
) -> impl Iterator<Item = &'p Characteristic> {
    let is_wanted = |it: &&Characteristic| followed.service.is_none_or(|service| service == it.service);
    peripheral.characteristics().iter().filter(is_wanted)
}

fn nothing_to_read(followed: &DevicePlan, peripheral: &Peripheral) -> Failure {
    let has: Vec<_> = of_service(followed, peripheral).take(16).map(|it| it.uuid.to_string()).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let of = followed.service.map(|_| ", or leave out `service`".to_owned()).unwrap_or_default();
    Failure::NothingToRead { has, of }
}

/// Returns an error of one characteristic; one that ends the connection is an error.
fn tolerate(error: GattError) -> Result<GattError, Failure> {
    match error {
        error @ (GattError::NotPermitted { .. }
        | GattError::PairingNeeded { .. }
        | GattError::TooLong { .. }) => Ok(error),
        error => Err(error.into()),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

//! One device that is connected to: when, and what is done there.
//!
//! Where one of its characteristics notifies, it stays connected; else it is read and left alone until the next time.
//! After trouble it is tried again after a pause that grows, and is shortened by chance.

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

use super::commands::Order;
use super::connections::{Followed, Shared, Value};
use super::slots::{Purpose, Slot};

/// The first pause after something went wrong.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest where trying costs the radio nothing, or the trouble passes.
const SHORT_PAUSE: Duration = Duration::from_secs(30);

/// Why a visit came to nothing.
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
    followed: Option<Followed>,
    orders: mpsc::Receiver<Order>,
    backoff: Backoff,
    /// It has characteristics that notify.
    stays: bool,
    /// What went wrong last, until it works again.
    problem: Option<String>,
}

impl Connection {
    pub(super) const fn new(
        shared: Shared,
        address: Arc<str>,
        followed: Option<Followed>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { shared, address, followed, orders, backoff, stays: false, problem: None }
    }

    /// Until `stop`; then what waits is told that it was not done, and the device is disconnected.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.live()).await;
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            order.not_connected();
        }
    }

    async fn live(&mut self) {
        let mut due = self.followed.is_some().then(Instant::now);
        self.tell("waiting", None);
        loop {
            let order = tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => Some(order),
                    None => return,
                },
                () = until(due) => None,
            };
            let started = Instant::now();
            let visited = self.visit(order).await;
            let next = match visited {
                Ok(pause) => started + pause,
                Err(failure) => Instant::now() + self.failed(&failure),
            };
            due = self.followed.is_some().then_some(next);
        }
    }

    /// Connects, and does what is to be done. Says when it is to be done again.
    async fn visit(&mut self, order: Option<Order>) -> Result<Duration, Failure> {
        let mut order = order;
        let (mut slot, connected) = match self.connect(&mut order).await {
            Ok(connected) => connected,
            Err(failure) => {
                let reason = gateway_core::chain(&failure);
                order.into_iter().for_each(|order| order.unreachable(&reason));
                while let Ok(order) = self.orders.try_recv() {
                    order.unreachable(&reason);
                }
                return Err(failure);
            }
        };
        let (peripheral, mut values) = connected;
        if let Some(order) = order {
            order.carry_out(&peripheral).await;
        }
        let done = match self.followed.clone() {
            Some(followed) => self.follow(&followed, &peripheral, &mut values, &mut slot).await,
            None => Ok(Duration::ZERO),
        };
        self.carry_out_all(&peripheral).await;
        peripheral.close().await;
        if done.is_ok() {
            self.tell("idle", None);
        }
        done
    }

    /// Waits for its turn, and connects. A command that comes meanwhile goes before.
    async fn connect(
        &mut self,
        order: &mut Option<Order>,
    ) -> Result<(Slot, (Peripheral, Notifications)), Failure> {
        let due = order.as_ref().map(|order| order.due);
        let connecting = async {
            let link =
                self.shared.link.wait_for(Option::is_some).await.map_err(|_| Failure::Stopped)?.clone();
            let link = link.ok_or(Failure::Stopped)?;
            let slot = match order {
                Some(_) => self.shared.slots.take(Purpose::Command).await,
                None => tokio::select! {
                    slot = turn(&self.shared, self.stays, self.followed.as_ref()) => slot,
                    Some(command) = self.orders.recv() => {
                        let due = order.insert(command).due;
                        let slot = timeout_at(due, self.shared.slots.take(Purpose::Command)).await;
                        slot.map_err(|_| Failure::Late)?
                    }
                },
            };
            let slot = slot.ok_or(Failure::Stopped)?;
            if self.followed.is_some() {
                self.shared.condition.part(&self.address, "connecting", None);
            }
            Ok((slot, Peripheral::connect(&link, &self.address).await?))
        };
        match due {
            Some(due) => timeout_at(due, connecting).await.map_err(|_| Failure::Late)?,
            None => connecting.await,
        }
    }

    /// Reads what can be read, and stays where values come by themselves and there is room.
    async fn follow(
        &mut self,
        followed: &Followed,
        peripheral: &Peripheral,
        values: &mut Notifications,
        slot: &mut Slot,
    ) -> Result<Duration, Failure> {
        let wanted: Vec<_> = wanted(followed, peripheral).collect();
        if wanted.is_empty() {
            return Err(nothing_to_read(followed, peripheral));
        }
        self.stays = wanted.iter().any(|characteristic| characteristic.can_notify);
        let readable: Vec<_> =
            wanted.iter().copied().filter(|characteristic| characteristic.can_read).collect();
        let problem = self.read_all(followed, peripheral, &readable).await?;
        if !self.stays || !self.shared.slots.keep(slot) {
            self.works(problem);
            return Ok(followed.every);
        }
        let mut told = Vec::new();
        let mut refused = None;
        for characteristic in wanted.iter().filter(|characteristic| characteristic.can_notify) {
            match peripheral.subscribe(characteristic).await {
                Ok(()) => told.push(characteristic.uuid),
                Err(error) => refused = Some(settle(error)?),
            }
        }
        self.works(problem.or(refused));
        if told.is_empty() {
            return Ok(followed.every);
        }
        let polled: Vec<_> =
            readable.into_iter().filter(|it| !told.contains(&it.uuid) || !it.can_notify).collect();
        self.stay(followed, peripheral, values, &polled).await
    }

    /// Hands on what the device tells, and reads the rest, until it goes or its turn is over.
    async fn stay(
        &mut self,
        followed: &Followed,
        peripheral: &Peripheral,
        values: &mut Notifications,
        polled: &[&Characteristic],
    ) -> Result<Duration, Failure> {
        let turn_over = Instant::now() + followed.every;
        let slots = self.shared.slots.clone();
        let wanted = slots.wanted(turn_over);
        tokio::pin!(wanted);
        let mut read_at = (!polled.is_empty()).then_some(turn_over);
        let mut lost = 0;
        loop {
            tokio::select! {
                told = values.next() => match told {
                    DeviceEvent::Value { source, value } => {
                        if let Some(characteristic) = peripheral.characteristic(source) {
                            self.hand_on(followed, characteristic, value).await?;
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
                Some(order) = self.orders.recv() => order.carry_out(peripheral).await,
                () = until(read_at) => {
                    read_at = Some(Instant::now() + followed.every);
                    let problem = self.read_all(followed, peripheral, polled).await?;
                    self.works(problem);
                }
                // Another's turn; then its own again.
                () = &mut wanted => return Ok(Duration::ZERO),
            }
        }
    }

    /// Reads these. A problem with some of them is said; with all of them it is an error.
    async fn read_all(
        &self,
        followed: &Followed,
        peripheral: &Peripheral,
        readable: &[&Characteristic],
    ) -> Result<Option<GattError>, Failure> {
        let (mut problem, mut read) = (None, 0);
        for characteristic in readable {
            match peripheral.read(characteristic).await {
                Ok(value) => {
                    self.hand_on(followed, characteristic, value).await?;
                    read += 1;
                }
                Err(error) => problem = Some(settle(error)?),
            }
        }
        match problem {
            Some(error) if read == 0 => Err(error.into()),
            problem => Ok(problem),
        }
    }

    async fn hand_on(
        &self,
        followed: &Followed,
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

    async fn carry_out_all(&mut self, peripheral: &Peripheral) {
        while let Ok(order) = self.orders.try_recv() {
            order.carry_out(peripheral).await;
        }
    }

    /// Its values come; `problem` is with some of them.
    fn works(&mut self, problem: Option<GattError>) {
        self.backoff.reset();
        if self.problem.take().is_some() {
            info!(adapter = %self.shared.adapter, device = %self.address, "ble: connected");
        }
        self.tell("connected", problem.map(|error| gateway_core::chain(&error)));
    }

    /// Tells what went wrong, and says how long to wait.
    fn failed(&mut self, failure: &Failure) -> Duration {
        let text = gateway_core::chain(failure);
        if self.followed.is_some() && self.problem.as_ref() != Some(&text) {
            warn!(adapter = %self.shared.adapter, device = %self.address, "ble: {text}; tried again until it works");
        }
        self.problem = Some(text.clone());
        self.tell("down", Some(text));
        let pause = self.backoff.next_wait(rand::random());
        match failure {
            Failure::Gatt(
                GattError::Busy { .. } | GattError::NotDiscovered { .. } | GattError::Bluetooth(_),
            ) => pause.min(SHORT_PAUSE),
            _ => pause,
        }
    }

    fn tell(&self, state: &'static str, problem: Option<String>) {
        if self.followed.is_some() {
            self.shared.condition.part(&self.address, state, problem);
        }
    }
}

/// Waits for a slot. One that is to stay is read meanwhile, where its turn to stay is long in coming.
async fn turn(shared: &Shared, stays: bool, followed: Option<&Followed>) -> Option<Slot> {
    let every = followed.map_or(Duration::ZERO, |followed| followed.every);
    if stays && let Ok(slot) = timeout(every, shared.slots.take(Purpose::Stay)).await {
        return slot;
    }
    shared.slots.take(Purpose::Read).await
}

/// The characteristics whose values are wanted: those that somebody can read.
fn wanted<'p>(
    followed: &'p Followed,
    peripheral: &'p Peripheral,
) -> impl Iterator<Item = &'p Characteristic> {
    of_service(followed, peripheral).filter(|characteristic| {
        let uuid = characteristic.uuid;
        let has_codec = followed.codecs.contains_key(&uuid) || gatt::reads(&uuid.to_string());
        has_codec && (characteristic.can_read || characteristic.can_notify)
    })
}

fn of_service<'p>(
    followed: &'p Followed,
    peripheral: &'p Peripheral,
) -> impl Iterator<Item = &'p Characteristic> {
    let is_wanted = |it: &&Characteristic| followed.service.is_none_or(|service| service == it.service);
    peripheral.characteristics().iter().filter(is_wanted)
}

fn nothing_to_read(followed: &Followed, peripheral: &Peripheral) -> Failure {
    let has: Vec<_> = of_service(followed, peripheral).take(16).map(|it| it.uuid.to_string()).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let of = followed.service.map(|_| ", or leave out `service`".to_owned()).unwrap_or_default();
    Failure::NothingToRead { has, of }
}

/// An error of one characteristic; one that ends the connection is passed on.
fn settle(error: GattError) -> Result<GattError, Failure> {
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

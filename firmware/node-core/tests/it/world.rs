//! What a node has around it: time that goes by when it sleeps, values that it measures, a gateway that counts what it got.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use node_core::wire::{self, Channel, Item, Quantity, Reading, Tag};
use node_core::{
    Board, Command, Config, Delivery, Exit, FlashStore, Link, LinkError, Node, Readings, Sensors, Store,
    Threshold,
};

use crate::flash::Flash;

/// What the gateway got of a sensor: when it was measured, in seconds of the world, and the raw value.
pub(crate) type Values = Vec<(u64, Option<i64>)>;

/// How the link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Up,
    Down,
    /// The gateway gets the frame, and its acknowledgement is lost.
    NoAck,
    Refuse,
}

pub(crate) struct World {
    /// Milliseconds since the world began; a node's uptime counts from its own start.
    pub(crate) now_ms: Cell<u64>,
    pub(crate) mode: Cell<Mode>,
    pub(crate) mtu: Cell<usize>,
    pub(crate) pause: Cell<u32>,
    pub(crate) has_time: Cell<bool>,
    pub(crate) tries: Cell<u32>,
    pub(crate) rests: Cell<u32>,
    pub(crate) frames: RefCell<Vec<(u64, Vec<u8>)>>,
    pub(crate) commands: RefCell<VecDeque<Command>>,
    /// What the sensors give at a second of the world.
    pub(crate) sense: RefCell<Box<dyn Fn(u64) -> Vec<Reading>>>,
    pub(crate) measured_at: RefCell<Vec<u64>>,
    pub(crate) random: Cell<u32>,
    pub(crate) watchdog_fed_at: Cell<u64>,
    pub(crate) longest_sleep_ms: Cell<u64>,
    /// Nothing is sent without power.
    pub(crate) has_power: RefCell<Box<dyn Fn() -> bool>>,
    /// Opens a sealed frame, as the gateway does.
    pub(crate) open: RefCell<Box<Open>>,
}

type Open = dyn Fn(&[u8]) -> Vec<u8>;

const COUNT: Tag = Tag { quantity: Quantity::Count, channel: Channel::FIRST };

/// A report every ten minutes, whatever a counter does.
pub(crate) const STEADY: Config<'_> = Config {
    heartbeat: 600,
    thresholds: &[Threshold { tag: COUNT, raw: 1_000_000_000 }],
    ..Config::new("test 1.2.3")
};

/// When the world began, in seconds since 1970.
pub(crate) const BEGAN_AT: u64 = 1_795_392_000;

#[derive(Clone)]
pub(crate) struct Sim {
    pub(crate) world: Rc<World>,
    /// When this life of the node began.
    started_ms: u64,
}

pub(crate) fn reading(quantity: Quantity, raw: impl Into<Option<i64>>) -> Reading {
    Reading { quantity, channel: Channel::FIRST, raw: raw.into() }
}

impl World {
    pub(crate) fn new(sense: impl Fn(u64) -> Vec<Reading> + 'static) -> Rc<Self> {
        Rc::new(Self {
            now_ms: Cell::new(0),
            mode: Cell::new(Mode::Up),
            mtu: Cell::new(222),
            pause: Cell::new(0),
            has_time: Cell::new(false),
            tries: Cell::new(0),
            rests: Cell::new(0),
            frames: RefCell::default(),
            commands: RefCell::default(),
            sense: RefCell::new(Box::new(sense)),
            measured_at: RefCell::default(),
            random: Cell::new(1),
            watchdog_fed_at: Cell::new(0),
            longest_sleep_ms: Cell::new(0),
            has_power: RefCell::new(Box::new(|| true)),
            open: RefCell::new(Box::new(<[u8]>::to_vec)),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms.get() / 1000
    }

    /// A life of the node until a second of the world, or until its end.
    pub(crate) fn live(
        self: &Rc<Self>,
        until: u64,
        store: &mut impl Store,
        config: &Config<'_>,
    ) -> (Option<Exit>, u32) {
        pollster::block_on(async {
            let mut sim = Sim { world: self.clone(), started_ms: self.now_ms.get() };
            let (mut sensors, mut link) = (sim.clone(), sim.clone());
            let mut node = Node::start(&mut sim, store, *config).await;
            while self.now() < until {
                if let Some(exit) = node.step(&mut sim, &mut sensors, &mut link, store).await {
                    return (Some(exit), node.lost(store));
                }
            }
            (None, node.lost(store))
        })
    }

    /// A life with flash, until the power is cut at the latest.
    pub(crate) fn live_with(
        self: &Rc<Self>,
        until: u64,
        flash: &Flash,
        config: &Config<'_>,
    ) -> Option<(Option<Exit>, u32)> {
        let store = pollster::block_on(FlashStore::open(flash.clone(), flash.range()));
        let mut store = store.ok()?;
        let chip = flash.clone();
        *self.has_power.borrow_mut() = Box::new(move || !chip.is_cut());
        pollster::block_on(async {
            let mut sim = Sim { world: self.clone(), started_ms: self.now_ms.get() };
            let (mut sensors, mut link) = (sim.clone(), sim.clone());
            let mut node = Node::start(&mut sim, &mut store, *config).await;
            while self.now() < until && !flash.is_cut() {
                if let Some(exit) = node.step(&mut sim, &mut sensors, &mut link, &mut store).await {
                    return Some((Some(exit), node.lost(&store)));
                }
            }
            Some((None, node.lost(&store)))
        })
    }

    /// The values of each quantity as the gateway counts them: each sequence number once, with the time of the frame's arrival
    /// less the age.
    pub(crate) fn received(&self) -> BTreeMap<&'static str, Values> {
        let mut received = BTreeMap::<_, Values>::new();
        let mut seen = Vec::new();
        for (arrived_at, frame) in &*self.frames.borrow() {
            let frame = (self.open.borrow())(frame);
            let items: Vec<_> = wire::decode(&frame).unwrap().map(Result::unwrap).collect();
            let sequence = items.iter().find_map(|item| match item {
                Item::Sequence(number) => Some(*number),
                _ => None,
            });
            if sequence.is_some_and(|sequence| seen.contains(&sequence)) {
                continue;
            }
            seen.extend(sequence);
            let mut at = *arrived_at;
            for item in items {
                match item {
                    Item::Age(age) => at = arrived_at.saturating_sub(u64::from(age)),
                    Item::Time(time) => at = u64::from(time) - BEGAN_AT,
                    Item::Reading(reading) => {
                        received.entry(reading.quantity.name()).or_default().push((at, reading.raw));
                    }
                    Item::Sequence(_) | Item::Firmware(_) | Item::Lost(_) => {}
                }
            }
        }
        received
    }

    /// What the node said last of reports that it gave up.
    pub(crate) fn lost(&self) -> Option<u32> {
        let frames = self.frames.borrow();
        let items = frames.iter().flat_map(|(_, frame)| wire::decode(frame).unwrap().flatten());
        items.filter_map(|item| if let Item::Lost(reports) = item { Some(reports) } else { None }).last()
    }

    pub(crate) fn firmware(&self) -> Vec<String> {
        let frames = self.frames.borrow();
        let items = frames.iter().flat_map(|(_, frame)| wire::decode(frame).unwrap().flatten());
        items
            .filter_map(|item| if let Item::Firmware(text) = item { Some(text.to_owned()) } else { None })
            .collect()
    }

    pub(crate) fn command(&self, commands: &[wire::command::Command]) {
        let mut buffer = [0; 64];
        let length = wire::command::encode(commands, &mut buffer).unwrap();
        self.commands.borrow_mut().push_back(Command::from_slice(&buffer[..length]).unwrap());
    }
}

impl Board for Sim {
    fn uptime_ms(&mut self) -> u64 {
        self.world.now_ms.get() - self.started_ms
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let (now, wake_at) = (self.world.now_ms.get(), self.started_ms + uptime_ms);
        self.world.longest_sleep_ms.set(self.world.longest_sleep_ms.get().max(wake_at.saturating_sub(now)));
        self.world.now_ms.set(wake_at.max(now));
    }

    fn feed_watchdog(&mut self) {
        self.world.watchdog_fed_at.set(self.world.now_ms.get());
    }

    fn random(&mut self) -> u32 {
        let next = self.world.random.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.world.random.set(next);
        next >> 8
    }
}

impl Sensors for Sim {
    async fn measure(&mut self, readings: &mut Readings) {
        let now = self.world.now();
        self.world.measured_at.borrow_mut().push(now);
        readings.extend((self.world.sense.borrow())(now));
    }
}

impl Link for Sim {
    fn mtu(&self) -> usize {
        self.world.mtu.get()
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let world = &self.world;
        assert!(frame.len() <= world.mtu.get(), "{} bytes", frame.len());
        if !(world.has_power.borrow())() {
            return Err(LinkError::Down);
        }
        world.tries.set(world.tries.get() + 1);
        world.now_ms.set(world.now_ms.get() + 200);
        if matches!(world.mode.get(), Mode::Up | Mode::NoAck) {
            world.frames.borrow_mut().push((world.now(), frame.to_vec()));
        }
        match world.mode.get() {
            Mode::Up => Ok(Delivery::Acknowledged),
            Mode::Down | Mode::NoAck => Err(LinkError::Down),
            Mode::Refuse => Err(LinkError::Refused),
        }
    }

    fn take_command(&mut self) -> Option<Command> {
        if self.world.mode.get() == Mode::Up { self.world.commands.borrow_mut().pop_front() } else { None }
    }

    async fn unix_time(&mut self) -> Option<u32> {
        self.world.has_time.get().then(|| (BEGAN_AT + self.world.now()) as u32)
    }

    fn pause_seconds(&self) -> u32 {
        self.world.pause.get()
    }

    async fn rest(&mut self) {
        self.world.rests.set(self.world.rests.get() + 1);
    }
}

//! An engine with a clock and a disk that the test owns.

use std::sync::Arc;

use broker_engine::packet::{decode_connect, split_frame};
use broker_engine::{
    Closed, ConnectionKey, Engine, Limits, Now, Output, Peer, Policy, Received, Rest, Restoring, Step,
};

use crate::client::{self, Got};

/// Everything is permitted but topics that begin with `secret`.
pub(crate) struct Rules;

impl Policy for Rules {
    fn may_publish(&self, _: Option<&str>, _: &str, topic: &str) -> bool {
        !topic.starts_with("secret")
    }

    fn may_subscribe(&self, _: Option<&str>, _: &str, filter: &str) -> bool {
        !filter.starts_with("secret")
    }

    fn admits(&self, user: Option<&str>) -> bool {
        user != Some("gone")
    }
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    limits: Limits,
    pub(crate) now: Now,
    /// The batches of records that were written.
    pub(crate) disk: Vec<(u64, Vec<u8>)>,
    /// Whether what is written counts as stored at once.
    pub(crate) stores: bool,
    next: u64,
}

/// A connected client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) key: ConnectionKey,
    pub(crate) version: u8,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Now { monotonic: 1_000_000, wall: 1_800_000_000 };
        let mut engine = Engine::new(limits, Arc::new(Rules), now);
        engine.set_next_position(1);
        Self { engine, limits, now, disk: Vec::new(), stores: true, next: 1 }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now.monotonic += seconds * 1000;
        self.now.wall += seconds;
        self.engine.tick(self.now);
        self.write();
    }

    /// As the gateway does before anything is sent.
    pub(crate) fn write(&mut self) {
        while let Some((position, batch)) = self.engine.take_records() {
            assert_eq!(position, self.next, "positions have no gaps");
            self.next += 1;
            self.disk.push((position, batch));
            if self.stores {
                self.engine.stored(position);
            }
        }
    }

    /// The process dies and starts again; all connections are gone.
    pub(crate) fn restart(&mut self) {
        self.engine = Engine::new(self.limits, Arc::new(Rules), self.now);
        let mut restoring = Restoring::default();
        for (position, batch) in &self.disk {
            self.engine.restore(&mut restoring, *position, batch, self.now).unwrap();
        }
        self.engine.set_next_position(self.next);
        self.engine.restored(restoring, self.now);
        self.write();
    }

    /// Records the oldest batches again and deletes them.
    pub(crate) fn clean(&mut self, batches: usize) {
        let batches = batches.min(self.disk.len());
        let cleaning = self.engine.begin_cleaning();
        for (position, batch) in &self.disk[..batches] {
            self.engine.record_again(&cleaning, *position, batch, self.now).unwrap();
        }
        self.write();
        self.disk.drain(..batches);
    }

    /// Replaces the oldest batches by what counts of them; those from `durable` on may be lost.
    pub(crate) fn compact(&mut self, batches: usize, durable: u64) {
        let batches = batches.min(self.disk.len());
        let cleaning = self.engine.begin_cleaning();
        for (position, batch) in &mut self.disk[..batches] {
            *batch = self.engine.still_counts(&cleaning, *position, batch, durable).unwrap();
        }
        self.disk.retain(|(_, batch)| !batch.is_empty());
    }

    pub(crate) fn try_connect(&mut self, version: u8, body: &[u8]) -> Result<Client, Vec<Got>> {
        self.try_connect_as(None, version, body)
    }

    pub(crate) fn try_connect_as(
        &mut self,
        user: Option<&str>,
        version: u8,
        body: &[u8],
    ) -> Result<Client, Vec<Got>> {
        let connect = decode_connect(body).map_err(|(_, invalid)| panic!("{invalid}"));
        let user = user.map(Into::into);
        let peer = Peer { user, new_client_id: format!("auto-{}", self.next), internal: None };
        let connected = self.engine.connect(&connect.unwrap(), peer, self.now);
        self.write();
        match connected {
            Ok(key) => Ok(Client { key, version }),
            Err(refused) => Err(client::read_all(version, &refused.connack)),
        }
    }

    /// Connects; the CONNACK is the first thing to be [`Self::got`].
    pub(crate) fn connect(&mut self, version: u8, id: &str, clean: bool, expiry: u32) -> Client {
        let client = self.try_connect(version, &client::connect(version, id, clean, expiry)).unwrap();
        let got = self.got(client);
        assert!(matches!(got[0], Got::Connack { code: 0, .. }), "{got:?}");
        client
    }

    /// Sends a packet; returns what it means for the connection.
    pub(crate) fn send(&mut self, client: Client, bytes: &[u8]) -> Step {
        let frame = split_frame(bytes, usize::MAX).unwrap().unwrap();
        let step = self.engine.receive(client.key, frame, self.now);
        self.write();
        if let Step::End(closed) = step {
            // The gateway sends what is left, and closes.
            if closed == Closed::ByClient {
                self.engine.close(client.key, closed, self.now);
                self.write();
            }
        }
        step
    }

    /// All that waits for a client.
    pub(crate) fn got(&mut self, client: Client) -> Vec<Got> {
        let (mut bytes, mut output) = (Vec::new(), Output::default());
        let mut rest = Rest::More;
        while matches!(rest, Rest::More | Rest::Later) {
            output.clear();
            rest = self.engine.output(client.key, &mut output, 1 << 16, self.now);
            self.write();
            output.pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
            bytes.extend_from_slice(&output.tail);
        }
        if rest == Rest::Close {
            self.engine.close(client.key, Closed::Lost, self.now);
            self.write();
        }
        client::read_all(client.version, &bytes)
    }

    pub(crate) fn lose(&mut self, client: Client) {
        self.engine.close(client.key, Closed::Lost, self.now);
        self.write();
    }

    pub(crate) fn subscribe(&mut self, client: Client, filter: &str, options: u8) {
        self.send(client, &client::subscribe(client.version, 77, filter, options));
        let got = self.got(client);
        assert!(matches!(&got[0], Got::Suback { id: 77, codes } if codes[0] < 0x80), "{got:?}");
    }

    /// As [`Self::subscribe`] at QoS 1, of a client whose CONNACK was not read.
    pub(crate) fn subscribe_after_connack(&mut self, client: Client, filter: &str) {
        self.send(client, &client::subscribe(client.version, 77, filter, 1));
        let got = self.got(client);
        assert!(matches!(got[..], [Got::Connack { .. }, Got::Suback { .. }]), "{got:?}");
    }

    /// Publishes at QoS 1, with packet identifier 9, and wants it acknowledged.
    pub(crate) fn publish(&mut self, client: Client, topic: &str, payload: &[u8], retain: bool) {
        let bytes = client::publish(client.version, topic, payload, 0b010 | u8::from(retain), 9, &[]);
        let step = self.send(client, &bytes);
        assert!(matches!(step, Step::Next(Received::Nothing)), "{step:?}");
        let got = self.got(client);
        assert!(got.iter().any(|one| matches!(one, Got::Ack { first: 0x40, id: 9, .. })), "{got:?}");
    }

    /// The payloads that came, each acknowledged as its QoS wants.
    pub(crate) fn take(&mut self, client: Client) -> Vec<String> {
        let mut taken = Vec::new();
        loop {
            let got = self.got(client);
            if got.is_empty() {
                return taken;
            }
            for one in got {
                match one {
                    Got::Publish { payload, qos, id, .. } => {
                        taken.push(String::from_utf8(payload).unwrap());
                        if qos > 0 {
                            self.send(client, &client::ack(if qos == 1 { 0x40 } else { 0x50 }, id));
                        }
                    }
                    Got::Ack { first: 0x62, id, .. } => drop(self.send(client, &client::ack(0x70, id))),
                    _ => {}
                }
            }
        }
    }
}

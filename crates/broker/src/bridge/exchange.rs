//! The exchange of a bridge, from one connection to the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use broker_engine::reason::Reason;
use broker_engine::{InternalDelivery, InternalOutput, InternalPublish};
use bytes::Bytes;
use gateway_core::{Condition, Throttle};
use mqtt_link::{Duplex, DuplexEvent, Message, MessageAck, Refusal, RefusedFilter};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Trouble;
use super::local::LocalSide;
use super::settings::BridgeSettings;
use crate::LOG_PERIOD;
use crate::hub::Hub;

/// Pause before a message that was refused for now is sent again, and how often it is.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 5;

pub(super) struct Exchange<'a> {
    hub: &'a Arc<Hub>,
    settings: &'a BridgeSettings,
    condition: &'a Condition,
    local: LocalSide,
    link: Duplex,
    is_up: bool,
    /// Messages for the other broker that it has no room for yet.
    ready: VecDeque<Outgoing>,
    /// Published there and not acknowledged, by token.
    sent: HashMap<u64, Outgoing>,
    next_token: u64,
    /// Refused for now, to be sent again at `retry_at`.
    refused: Vec<Outgoing>,
    retry_at: Option<Instant>,
    /// The acknowledgements that the other broker waits for, by its packet identifier.
    acks: HashMap<u16, MessageAck>,
    told: Throttle,
}

/// A message for the other broker.
struct Outgoing {
    delivery: InternalDelivery,
    topic: String,
    attempts: u32,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        hub: &'a Arc<Hub>,
        settings: &'a BridgeSettings,
        condition: &'a Condition,
        local: LocalSide,
        link: Duplex,
    ) -> Self {
        let exchange = Self {
            hub,
            settings,
            condition,
            local,
            link,
            is_up: false,
            ready: VecDeque::new(),
            sent: HashMap::new(),
            next_token: 0,
            refused: Vec::new(),
            retry_at: None,
            acks: HashMap::new(),
            told: Throttle::new(LOG_PERIOD),
        };
        exchange.tell_state(false, None);
        exchange
    }

    /// Runs until something here is wrong. Losses of the connection to the other broker are part of it.
    pub(super) async fn run(&mut self) -> Trouble {
        loop {
            if let Err(trouble) = self.step().await {
                return trouble;
            }
        }
    }

    /// Says goodbye to the other broker.
    pub(super) async fn end(self) {
        self.tell_state(false, None);
        self.link.disconnect().await;
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        // While messages are refused the others wait, so that they overtake as few as possible.
        let takes_more = self.is_up && self.ready.is_empty() && self.refused.is_empty();
        let retry_at = self.retry_at.unwrap_or_else(Instant::now);
        tokio::select! {
            event = self.link.next() => match event {
                Some(event) => self.on_event(event).await,
                None => Err(Trouble("its connection ended")),
            },
            output = self.local.next(takes_more) => self.on_output(output),
            () = sleep_until(retry_at), if self.retry_at.is_some() => {
                self.retry_at = None;
                self.ready.extend(self.refused.drain(..));
                self.send_ready();
                Ok(())
            }
        }
    }

    async fn on_event(&mut self, event: DuplexEvent) -> Result<(), Trouble> {
        match event {
            DuplexEvent::Up { refused, .. } => self.on_up(&refused),
            DuplexEvent::Message(message) => return self.on_message(message).await,
            DuplexEvent::Acked(token) => {
                if let Some(sent) = self.sent.remove(&token) {
                    self.finish(&sent, true);
                }
                self.send_ready();
            }
            DuplexEvent::Refused { token, refusal } => {
                if let Some(sent) = self.sent.remove(&token) {
                    self.on_refusal(sent, refusal);
                }
                self.send_ready();
            }
            DuplexEvent::Down { reason } => return self.on_down(reason),
        }
        Ok(())
    }

    fn on_up(&mut self, refused: &[RefusedFilter]) {
        self.is_up = true;
        let bridge = &self.settings.name;
        info!(bridge, url = %self.settings.link.url, "broker: bridge connected");
        for RefusedFilter { filter, reason } in refused {
            warn!(bridge, %filter, "broker: the other broker of the bridge refused a subscription: {reason}");
        }
        let refusal = |one: &RefusedFilter| format!("subscription to {} refused: {}", one.filter, one.reason);
        self.tell_state(true, refused.first().map(refusal));
    }

    /// What was on its way comes again from the session here, and from the one there.
    fn on_down(&mut self, reason: String) -> Result<(), Trouble> {
        self.is_up = false;
        warn!(bridge = self.settings.name, url = %self.settings.link.url, "broker: bridge not connected: {reason}");
        self.tell_state(false, Some(reason));
        self.ready.clear();
        self.sent.clear();
        self.refused.clear();
        self.retry_at = None;
        self.acks.clear();
        self.local = LocalSide::open(self.hub, self.settings, false)?;
        Ok(())
    }

    /// In `health`, and where dashboards look for the bridges of mosquitto.
    fn tell_state(&self, is_up: bool, error: Option<String>) {
        let part = format!("bridge {}", self.settings.name).into();
        self.condition.part(&part, if is_up { "up" } else { "down" }, error);
        let topic = format!("$SYS/broker/connection/{}/state", self.settings.link.client_id);
        let payload = Bytes::from_static(if is_up { b"1" } else { b"0" });
        self.hub.publish_retained(&topic, payload);
    }

    /// A message of the other broker.
    async fn on_message(&mut self, message: Message) -> Result<(), Trouble> {
        let Some(topic) = self.settings.topics.to_local(&message.topic) else {
            // A subscription of an earlier configuration.
            message.ack.send();
            return Ok(());
        };
        let publish = InternalPublish {
            topic: &topic,
            payload: &message.payload,
            retain: message.retain,
            dup: message.dup,
            packet_id: message.packet_id,
        };
        if message.packet_id != 0 {
            self.acks.insert(message.packet_id, message.ack);
        }
        self.local.publish(publish).await
    }

    fn on_output(&mut self, output: InternalOutput) -> Result<(), Trouble> {
        match output {
            InternalOutput::Message(delivery) => {
                if let Some(topic) = self.settings.topics.to_remote(&delivery.message.topic) {
                    self.ready.push_back(Outgoing { delivery, topic, attempts: 0 });
                    self.send_ready();
                } else {
                    // It waited since an earlier configuration.
                    self.local.done(delivery.packet_id, true);
                }
                Ok(())
            }
            InternalOutput::Acked { packet_id, reason } => self.acknowledge(packet_id, reason),
            InternalOutput::Closed => Err(Trouble("the broker closed its connection")),
        }
    }

    fn acknowledge(&mut self, packet_id: u16, reason: Reason) -> Result<(), Trouble> {
        let Some(ack) = self.acks.remove(&packet_id) else { return Ok(()) };
        if reason == Reason::QuotaExceeded {
            return Err(Trouble("the disk takes no more messages"));
        }
        if reason.code() >= 0x80 {
            let why = format!("this broker refused it with reason code {:#04x}", reason.code());
            self.tell_dropped("", &why);
        }
        ack.send();
        Ok(())
    }

    fn send_ready(&mut self) {
        while let Some(next) = self.ready.pop_front() {
            let InternalDelivery { message, retain, .. } = &next.delivery;
            let token = self.next_token;
            match self.link.try_publish(token, &next.topic, message.payload.clone(), *retain) {
                Ok(()) => {
                    self.next_token += 1;
                    self.sent.insert(token, next);
                }
                Err(error) if error.is_permanent() => {
                    self.tell_dropped(&next.topic, &error.to_string());
                    self.finish(&next, false);
                }
                // Goes on with the next acknowledgement, or after the next loss of the connection.
                Err(_) => return self.ready.push_front(next),
            }
        }
    }

    fn on_refusal(&mut self, mut sent: Outgoing, refusal: Refusal) {
        sent.attempts += 1;
        let is_final = refusal.permanent || refusal.not_permitted || sent.attempts >= ATTEMPTS;
        if is_final || sent.delivery.packet_id == 0 {
            self.tell_dropped(&sent.topic, refusal.reason);
            self.finish(&sent, false);
        } else {
            self.refused.push(sent);
            self.retry_at.get_or_insert_with(|| Instant::now() + REFUSED_PAUSE);
        }
    }

    fn finish(&self, sent: &Outgoing, taken: bool) {
        self.local.done(sent.delivery.packet_id, taken);
    }

    fn tell_dropped(&self, topic: &str, reason: &str) {
        if let Some(left_out) = self.told.allow(Instant::now().into_std()) {
            let bridge = &self.settings.name;
            warn!(bridge, %topic, left_out, "broker: the bridge dropped a message: {reason}");
        }
    }
}

//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use super::connection::ConnectionKey;
use super::records::{Record, options_byte};
use super::scans::RetainedScan;
use super::session::Subscription;
use super::subscriptions::{Entry, Subscriber};
use super::{Engine, Event, Now, SessionKey};
use crate::packet::{
    Invalid, RetainHandling, Subscribe, SubscribeFilter, Unsubscribe, Version, encode_suback, encode_unsuback,
};
use crate::reason::Reason;
use crate::topic::ParsedFilter;

/// What a subscription costs in memory besides its text, and what each of its levels does.
const SUBSCRIPTION_BYTES: usize = 200;
const LEVEL_BYTES: usize = 150;

/// [MQTT-4.7.1-1] and [MQTT-4.7.1-2].
const NO_FILTER: Invalid = Invalid::malformed("a text that is no topic filter");

/// Bytes in memory, about.
pub(crate) fn cost(filter: &str) -> usize {
    let levels = filter.bytes().filter(|byte| *byte == b'/').count() + 1;
    SUBSCRIPTION_BYTES + 2 * filter.len() + LEVEL_BYTES * levels
}

impl Engine {
    pub(crate) fn on_subscribe(
        &mut self,
        key: ConnectionKey,
        subscribe: &Subscribe<'_>,
        now: Now,
    ) -> Result<(), Invalid> {
        let Some(connection) = self.connection(key) else { return Ok(()) };
        let (session, version) = (connection.session, connection.version);
        let is_bridge = connection.is_bridge;
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut scans = Vec::new();
        self.work += 2 * subscribe.filters.len() as u64;
        for filter in &subscribe.filters {
            // The standard's No Local, for bridges that speak 3.1.1.
            let filter = SubscribeFilter {
                no_local: filter.no_local || is_bridge,
                retain_as_published: filter.retain_as_published || is_bridge,
                ..*filter
            };
            let code = match self.subscribe_one(session, &filter, subscribe.identifier, &mut scans) {
                Ok(()) => filter.qos.bits(),
                Err(Reason::TopicFilterInvalid) => return Err(NO_FILTER),
                // 3.1 has no refusal; 3.1.1 has one.
                Err(_) if version == Version::V31 => filter.qos.bits(),
                Err(reason) if version == Version::V5 => reason.code(),
                Err(_) => Reason::UnspecifiedError.code(),
            };
            codes.push(code);
        }
        if let Some(connection) = self.connection_mut(key) {
            connection.send_encoded(|out| encode_suback(out, version, subscribe.packet_id, &codes));
        }
        self.begin_scans(session, scans, now);
        self.wake(key);
        Ok(())
    }

    pub(crate) fn begin_scans(&mut self, key: SessionKey, scans: Vec<RetainedScan>, now: Now) {
        if let Some(session) = self.sessions.get_mut(key) {
            for scan in scans {
                session.scans.push(scan);
            }
        }
        self.continue_scans(key, now);
    }

    pub(crate) fn subscribe_one(
        &mut self,
        key: SessionKey,
        filter: &SubscribeFilter<'_>,
        identifier: Option<u32>,
        scans: &mut Vec<RetainedScan>,
    ) -> Result<(), Reason> {
        let parsed = ParsedFilter::parse(filter.filter).ok_or(Reason::TopicFilterInvalid)?;
        self.check_subscription(key, filter.filter, parsed)?;
        let options = options_byte(filter);
        let old = self.sessions.get(key).and_then(|one| one.subscriptions.get(filter.filter)).copied();
        let entry = Entry { subscriber: Subscriber::Session(key), options, identifier };
        let is_new = self.subscriptions.insert(parsed, entry);
        let unchanged = old.filter(|old| (old.options, old.identifier) == (options, identifier));
        let position = match unchanged {
            Some(old) => Some(old.position),
            None => self.record(key, |session| Record::Subscribed {
                session,
                filter: filter.filter,
                options,
                identifier,
            }),
        };
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let text: Arc<str> = filter.filter.into();
        let subscription = Subscription { options, identifier, position: position.unwrap_or_default() };
        session.subscriptions.insert(Arc::clone(&text), subscription);
        let wanted = match filter.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => is_new,
            RetainHandling::Never => false,
        };
        // Section 4.8.2: a shared subscription gets no retained messages.
        if wanted && parsed.group.is_none() {
            scans.push(RetainedScan::new(text, entry));
        }
        Ok(())
    }

    fn check_subscription(
        &mut self,
        key: SessionKey,
        filter: &str,
        parsed: ParsedFilter<'_>,
    ) -> Result<(), Reason> {
        let Some(session) = self.sessions.get(key) else { return Err(Reason::UnspecifiedError) };
        let client = Arc::clone(&session.client);
        if !session.is_internal && !self.policy.may_subscribe(session.user.as_deref(), &client, parsed.filter)
        {
            let user = session.user.clone();
            self.events.tell(|| Event::SubscribeRefused { client, user, filter: filter.into() });
            return Err(Reason::NotAuthorized);
        }
        let has_room = if session.subscriptions.contains_key(filter) {
            // If nothing changes, nothing is written.
            !self.log.is_full() || !session.is_kept()
        } else {
            session.subscriptions.len() < self.limits.subscriptions
                && !(self.log.is_full() && session.is_kept())
                && self.hold(key, cost(filter))
        };
        if !has_room {
            self.events.tell(|| Event::TooManySubscriptions { client });
            return Err(Reason::QuotaExceeded);
        }
        Ok(())
    }

    pub(crate) fn on_unsubscribe(
        &mut self,
        key: ConnectionKey,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Result<(), Invalid> {
        let Some(connection) = self.connection(key) else { return Ok(()) };
        let (session, version) = (connection.session, connection.version);
        let mut codes = Vec::with_capacity(unsubscribe.filters.len());
        self.work += 2 * unsubscribe.filters.len() as u64;
        for filter in &unsubscribe.filters {
            let code = match ParsedFilter::parse(filter) {
                None => return Err(NO_FILTER),
                Some(_) if self.unsubscribe_one(session, filter) => Reason::Success,
                Some(_) => Reason::NoSubscriptionExisted,
            };
            codes.push(code.code());
        }
        if let Some(connection) = self.connection_mut(key) {
            connection.send_encoded(|out| encode_unsuback(out, version, unsubscribe.packet_id, &codes));
        }
        self.wake(key);
        Ok(())
    }

    /// Returns whether there was such a subscription.
    pub(crate) fn unsubscribe_one(&mut self, key: SessionKey, filter: &str) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if session.subscriptions.remove(filter).is_none() {
            return false;
        }
        session.scans.remove(filter);
        if let Some(parsed) = ParsedFilter::parse(filter) {
            self.subscriptions.remove(parsed, Subscriber::Session(key));
        }
        self.release(key, cost(filter));
        self.record(key, |session| Record::Unsubscribed { session, filter });
        true
    }

    /// Replaces the topic filters of the gateway's adapters.
    pub fn set_adapter_filters<'a>(&mut self, filters: impl IntoIterator<Item = (u16, &'a str)>) {
        for (adapter, filter) in std::mem::take(&mut self.adapter_filters) {
            if let Some(parsed) = ParsedFilter::parse(&filter) {
                self.subscriptions.remove(parsed, Subscriber::Adapter(adapter));
            }
        }
        for (adapter, filter) in filters {
            let Some(parsed) = ParsedFilter::parse(filter) else { continue };
            let entry = Entry { subscriber: Subscriber::Adapter(adapter), options: 2, identifier: None };
            self.subscriptions.insert(parsed, entry);
            self.adapter_filters.push((adapter, filter.into()));
        }
    }
}

//! `[adapters.*]`: where they connect, and whether their topics say what is needed.

use ::adapters::mqtt::TopicFilter;
use ::adapters::mqtt::config::{MqttConfig, Topic};
use codecs::{Codec, Options};
use gateway_core::suggest::did_you_mean;

use super::link::{self, Link};
use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::Config;
use crate::config::not_yet;
use crate::config::report::Report;

pub(super) fn check(report: &mut Report, config: &Config) {
    for (name, adapter) in &config.adapters.mqtt {
        let table = KeyPath::of("adapters.mqtt").key(name);
        check_connection(report, &table, adapter, config.broker.is_some());
        if adapter.topics.is_empty() {
            report.missing(
                &table,
                "topics",
                "missing: nothing is read; write it, such as topics = [{ filter = \"sensors/{device}\", format = \"json\" }]",
            );
        }
        for (i, topic) in adapter.topics.iter().enumerate() {
            check_topic(report, &table.key("topics").index(i), topic);
        }
    }
}

fn check_connection(report: &mut Report, table: &KeyPath, adapter: &MqttConfig, embedded: bool) {
    match &adapter.url {
        Some(url) => {
            let link = Link {
                url,
                username: adapter.username.as_deref(),
                password: adapter.password.as_ref(),
                has_password_file: adapter.password_file.is_some(),
                ca_file: adapter.ca_file.as_deref(),
                cert_file: adapter.cert_file.as_deref(),
                key_file: adapter.key_file.as_deref(),
                keep_alive: adapter.keep_alive,
            };
            link::check(report, table, &link);
        }
        None if !embedded && report.is_whole(&KeyPath::of("broker")) => {
            report.missing(
                table,
                "url",
                "missing, and there is no [broker] to use instead; write one of them",
            );
        }
        None => {
            if adapter.username.is_some() || adapter.password.is_some() {
                let key = if adapter.username.is_some() { "username" } else { "password" };
                report.warning(
                    &table.key(key),
                    "is not used: without `url` the adapter uses the embedded broker",
                );
            }
        }
    }
}

fn check_topic(report: &mut Report, table: &KeyPath, topic: &Topic) {
    let known = check_format(report, table, topic);
    match TopicFilter::parse(&topic.filter) {
        Err(error) => {
            report.error(&table.key("filter"), error.to_string().replace(char::is_control, "\u{fffd}"));
        }
        Ok(filter) if known && !filter.names_device() && !names_device_itself(topic) => {
            report.error(
                &table.key("filter"),
                format!(
                    "nothing says which device sent a message: put {{device}} in place of a level of {}",
                    quoted(&topic.filter)
                ),
            );
        }
        Ok(_) => {}
    }
}

/// Formats whose payload says which device it is.
fn names_device_itself(topic: &Topic) -> bool {
    match topic.format.as_str() {
        "senml" | "ttn" | "chirpstack" => true,
        "csv" => topic.columns.iter().any(|column| column == "device"),
        _ => false,
    }
}

/// Whether the format is one that there is.
fn check_format(report: &mut Report, table: &KeyPath, topic: &Topic) -> bool {
    let key = table.key("format");
    if !check_codec(report, &key, &topic.format) {
        return false;
    }
    let csv = topic.format == "csv";
    if !csv && !topic.columns.is_empty() {
        report.warning(&table.key("columns"), "is not used: only format = \"csv\" has columns");
    }
    let options = Options { columns: topic.columns.clone(), ..Options::default() };
    if csv && let Err(error) = Codec::by_name(&topic.format, &options) {
        let text = error.to_string().replace(char::is_control, "\u{fffd}");
        match topic.columns.is_empty() {
            true => report.missing(table, "columns", text),
            false => report.error(&table.key("columns"), text),
        }
    }
    true
}

/// Whether there is a codec of that name; else an error.
pub(super) fn check_codec(report: &mut Report, key: &KeyPath, name: &str) -> bool {
    if Codec::NAMES.contains(&name) {
        return true;
    }
    if Codec::is_file(name) {
        report.error(key, "is a codec's file; name it as the `codec` of the [devices.*] tables that need it");
        return false;
    }
    let text = not_yet::codec(name).unwrap_or_else(|| {
        let meant = did_you_mean(name, Codec::NAMES.iter().copied());
        format!("{} is no format; allowed: {}{meant}", quoted(name), Codec::NAMES.join(", "))
    });
    report.error(key, text);
    false
}

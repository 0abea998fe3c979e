//! `observe` and `servers` of `[adapters.coap.*]`: addresses that can be asked, and keys for those over DTLS.

use std::time::Duration;

use gateway_core::DeviceAddress;
use gateway_core::findings::{KeyPath, Report, quoted};

use super::build_client::server_url;
use super::check::{check_identity, check_key};
use super::client::url::CoapUrl;
use super::config::CoapConfig;

/// What one adapter follows.
const MOST_OBSERVED: usize = 1_000;
/// Asked more often than this, a device does nothing else.
const OFTENEST: Duration = Duration::from_secs(1);

pub(super) fn check(report: &mut Report, table: &KeyPath, adapter: &CoapConfig) {
    for (name, server) in &adapter.servers {
        let table = table.key("servers").key(name);
        if let Err(error) = server_url(name) {
            report.error(
                &table,
                format!("{error}; write the host of a coaps:// address, such as \"10.0.0.9\""),
            );
        }
        check_key(report, &table, server.key.as_ref(), server.key_file.is_some());
        check_identity(report, &table.key("identity"), &server.identity);
    }
    let list = table.key("observe");
    if adapter.observe.len() > MOST_OBSERVED {
        report.error(
            &list,
            format!("has more than {MOST_OBSERVED} entries; use a second adapter for the rest"),
        );
    }
    for (i, observe) in adapter.observe.iter().enumerate() {
        let entry = list.index(i);
        check_url(report, &entry.key("url"), &observe.url, adapter);
        if adapter.observe.iter().take(i).any(|earlier| earlier.url == observe.url) {
            report
                .error(&entry.key("url"), format!("{} is there twice; leave one out", quoted(&observe.url)));
        }
        if DeviceAddress::new(&observe.device).is_none() {
            report.error(&entry.key("device"), "is empty or longer than 256 bytes; name the device");
        }
        if observe.metric.as_deref() == Some("") {
            report.error(&entry.key("metric"), "is empty; leave it out where the resource is no bare number");
        }
        if observe.every.0 < OFTENEST {
            report.error(&entry.key("every"), "is out of range; allowed: from \"1s\"");
        }
    }
}

/// Whether `url` can be asked, and over DTLS as whom.
pub(super) fn check_url(report: &mut Report, key: &KeyPath, url: &str, adapter: &CoapConfig) {
    let parsed = match url.parse::<CoapUrl>() {
        Ok(parsed) => parsed,
        Err(error) => return report.error(key, format!("{} {error}", quoted(url))),
    };
    let same = |name: &String| {
        server_url(name).is_ok_and(|server| (server.host(), server.port()) == (parsed.host(), parsed.port()))
    };
    if parsed.is_secured() && !adapter.servers.keys().any(same) {
        report.error(
            key,
            format!("there is no identity and key for {}; write them into `servers`", quoted(parsed.host())),
        );
    }
}

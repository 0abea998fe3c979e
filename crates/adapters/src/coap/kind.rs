//! `[adapters.coap.*]` as a kind of adapter.

use std::fmt;
use std::path::Path;

use gateway_core::AdapterId;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::Listener;
use gateway_core::ports::{Message, Target};
use gateway_core::settings::{BuildError, TableType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::config::{CoapConfig, Observe, Psk, Server};
use super::{build, check, check_client, key};
use crate::kind::{
    Action, AdapterKind, Blueprint, BuildContext, Configured, Example, NoKeys, Order, OrderMessage,
};
use crate::site::Site;

/// Devices that speak CoAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coap;

/// Where an action goes: a resource of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetKeys {
    /// CoAP: the resource of a device, `coap://` or `coaps://`.
    #[schemars(example = &"coap://10.0.0.9/relay")]
    pub url: Option<String>,
    /// CoAP: the method. Default: `PUT`.
    #[schemars(example = &"PUT")]
    pub method: Option<CommandMethod>,
    /// CoAP: the content format of `payload`. Default: `text`.
    #[schemars(example = &"text")]
    pub format: Option<CommandFormat>,
}

/// The method of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CommandMethod {
    /// The payload is the new value of the resource.
    #[default]
    Put,
    /// The resource processes the payload.
    Post,
}

/// The content format of a command's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommandFormat {
    /// `text/plain`
    #[default]
    Text,
    /// `application/json`
    Json,
}

/// The resource of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `coap://` or `coaps://`, host and path.
    pub url: String,
    /// What is done to it.
    pub method: CommandMethod,
    /// What the payload is.
    pub format: CommandFormat,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl AdapterKind for Coap {
    const NAME: &'static str = "coap";
    const LABEL: &'static str = "CoAP";
    const DOC: &'static str = "Devices that speak CoAP. The name is yours: `[adapters.coap.lan]`.";
    const TARGET: &'static str = "sends to a `url`";

    type Table = CoapConfig;
    type DeviceKeys = NoKeys;
    type Target = TargetKeys;

    fn nested_tables() -> Vec<TableType> {
        vec![TableType::of::<Psk>(), TableType::of::<Observe>(), TableType::of::<Server>()]
    }

    fn example() -> Example {
        let observe = json!([
            { "url": "coap://10.0.0.9/temperature", "device": "ahu-3", "metric": "temperature" },
        ]);
        Example {
            name: "lan",
            on: false,
            values: vec![("observe", observe)],
            action: None,
            names: &[("psk", "sensor01"), ("servers", "10.0.0.9")],
        }
    }

    fn read_files(table: &mut CoapConfig, path: &KeyPath, files: &mut Files<'_>) {
        for (identity, psk) in &mut table.psk {
            let path = path.key("psk").key(identity);
            files.secret_with(&path, "key", &mut psk.key, &mut psk.key_file, |bytes| {
                Ok(key::from_file(&bytes))
            });
        }
        for (host, server) in &mut table.servers {
            let path = path.key("servers").key(host);
            files.secret_with(&path, "key", &mut server.key, &mut server.key_file, |bytes| {
                Ok(key::from_file(&bytes))
            });
        }
    }

    fn check_own_file(table: &CoapConfig, path: &KeyPath, file: &Path, report: &mut Report) {
        let psk = table.psk.iter().filter(|(_, psk)| psk.key.is_some() && psk.key_file.is_none());
        let servers = table.servers.iter().filter(|(_, one)| one.key.is_some() && one.key_file.is_none());
        let psk = psk.map(|(identity, _)| path.key("psk").key(identity));
        for table in psk.chain(servers.map(|(host, _)| path.key("servers").key(host))) {
            report.warn_of_secret(&table.key("key"), file);
        }
    }

    fn check(all: &Configured<Self>, _site: &Site<'_>, report: &mut Report) {
        for (name, table) in &all.adapters {
            check::check(report, &KeyPath::of("adapters.coap").key(name), table);
        }
    }

    fn check_action(
        action: &Action<'_, Self>,
        all: &Configured<Self>,
        _site: &Site<'_>,
        report: &mut Report,
    ) {
        let Some(url) = &action.target.url else {
            let why = "missing; write the resource, such as \"coap://10.0.0.9/relay\"";
            report.missing(&action.path, "url", why);
            return;
        };
        if let Some(table) = all.adapters.get(action.adapter) {
            check_client::check_url(report, &action.path.key("url"), url, table);
        }
    }

    fn message(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        _context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        let TargetKeys { url, method, format } = action.target.clone();
        let Some(url) = url else { return Ok(None) };
        let resource =
            Resource { url, method: method.unwrap_or_default(), format: format.unwrap_or_default() };
        let payload = action.payload.to_owned().into();
        Ok(Some(Message::Ready { target: Target::new(resource), payload }))
    }

    /// A value is put to the resource that is observed as the device's metric of that name.
    fn command(table: &CoapConfig, order: &Order<'_>) -> Result<Vec<OrderMessage>, String> {
        let message = |(key, value): (&String, &Json)| {
            let is_it =
                |observe: &&Observe| observe.device == order.device && observe.metric.as_ref() == Some(key);
            let observe = table.observe.iter().find(is_it);
            let observe = observe.ok_or_else(|| format!("no `observe` names the resource of {key}"))?;
            let payload = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let keys = [("url".to_owned(), observe.url.as_str().into())].into_iter().collect();
            Ok(OrderMessage { keys, payload })
        };
        order.values.iter().map(message).collect()
    }

    fn listeners(table: &CoapConfig, path: &KeyPath) -> Vec<Listener> {
        check::listeners(table, path)
    }

    fn build(
        id: &AdapterId,
        table: &CoapConfig,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        build::blueprint(id, table, context)
    }
}

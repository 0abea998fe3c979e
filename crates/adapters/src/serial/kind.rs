//! `[adapters.serial.*]` as a kind of adapter.

use gateway_core::AdapterId;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::{Message, Target};
use gateway_core::settings::BuildError;
use serde_json::{Map, json};

use super::config::SerialConfig;
use super::{SerialAdapter, Settings, check, commands};
use crate::kind::{
    Action, AdapterKind, Blueprint, BuildContext, Configured, Example, NoKeys, Order, OrderMessage,
};
use crate::lines::LineSource;
use crate::site::Site;

/// Devices on serial ports.
#[derive(Debug, Clone, PartialEq)]
pub struct Serial;

impl AdapterKind for Serial {
    const NAME: &'static str = "serial";
    const LABEL: &'static str = "serial ports";
    const DOC: &'static str = "Devices on serial ports. The name is yours: `[adapters.serial.espnow]`.";
    const TARGET: &'static str = "writes `payload` to the port, as a line";
    const PAYLOAD_DOC: &'static str = "For serial ports: one line of text.";

    type Table = SerialConfig;
    type DeviceKeys = NoKeys;
    type Target = NoKeys;

    fn example() -> Example {
        Example {
            name: "espnow",
            values: vec![
                ("port", json!("/dev/ttyUSB0")),
                ("format", json!("csv")),
                ("columns", json!(["device", "temperature", "humidity"])),
            ],
            ..Example::default()
        }
    }

    fn check(all: &Configured<Self>, _site: &Site<'_>, report: &mut Report) {
        check::check(report, &all.adapters);
    }

    fn check_action(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        _site: &Site<'_>,
        report: &mut Report,
    ) {
        if let Err(why) = commands::line(action.payload.as_bytes()) {
            report.error(&action.path.key("payload"), why);
        }
    }

    fn message(
        action: &Action<'_, Self>,
        all: &Configured<Self>,
        _context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        let port = all.adapters.get(action.adapter).map(|table| table.port.display().to_string());
        let payload = action.payload.to_owned().into();
        Ok(port.map(|port| Message::Ready { target: Target::new(port), payload }))
    }

    fn probe(table: &SerialConfig, path: &KeyPath, report: &mut Report) {
        check::probe(report, &path.key("port"), &table.port);
    }

    /// One line: a JSON object of the device's address and the values.
    fn command(_table: &Self::Table, order: &Order<'_>) -> Result<Vec<OrderMessage>, String> {
        let mut line = order.values.clone();
        line.insert("device".to_owned(), order.address.into());
        let payload = serde_json::to_string(&line).unwrap_or_default();
        Ok(vec![OrderMessage { keys: Map::new(), payload }])
    }

    fn build(
        id: &AdapterId,
        table: &SerialConfig,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        let codec = context.codecs.id(table.format.codec(), &table.columns, context.site.timezone)?;
        let settings = Settings {
            port: table.port.clone(),
            baud: table.baud,
            lines: LineSource {
                adapter: id.clone(),
                format: table.format,
                codec,
                max_line: usize::try_from(table.max_line.0).unwrap_or(usize::MAX),
            },
            device: id.as_str().strip_prefix("serial.").unwrap_or(id.as_str()).to_owned(),
        };
        Ok(Blueprint::new(id, &format!("{settings:?}"), move |_| SerialAdapter::new(settings.clone())))
    }
}

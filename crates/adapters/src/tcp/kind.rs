//! `[adapters.tcp.*]` as a kind of adapter.

use gateway_core::AdapterId;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::{Listener, Transport};
use gateway_core::ports::Message;
use gateway_core::settings::BuildError;
use serde_json::json;

use super::config::TcpConfig;
use super::{Settings, TcpAdapter, check};
use crate::kind::{Action, AdapterKind, Blueprint, BuildContext, Configured, Example, NoKeys};
use crate::lines::LineSource;
use crate::site::Site;

/// Devices that connect over TCP.
#[derive(Debug, Clone, PartialEq)]
pub struct Tcp;

impl AdapterKind for Tcp {
    const NAME: &'static str = "tcp";
    const LABEL: &'static str = "TCP";
    const DOC: &'static str =
        "Devices that connect over TCP and send lines. The name is yours: `[adapters.tcp.bme680]`.";
    const TARGET: &'static str = "takes no commands";

    type Table = TcpConfig;
    type DeviceKeys = NoKeys;
    type Target = NoKeys;

    fn example() -> Example {
        Example {
            name: "bme680",
            values: vec![
                ("listen", json!("0.0.0.0:8080")),
                ("format", json!("csv")),
                ("columns", json!(["temperature", "pressure", "humidity", "gas"])),
            ],
            ..Example::default()
        }
    }

    fn check(all: &Configured<Self>, _site: &Site<'_>, report: &mut Report) {
        for (name, table) in &all.adapters {
            check::check(report, &KeyPath::of("adapters.tcp").key(name), table);
        }
    }

    fn check_action(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        _site: &Site<'_>,
        report: &mut Report,
    ) {
        let text = "devices that send lines over TCP take no commands; name an adapter of another kind";
        report.error(&action.path.key("adapter"), text);
    }

    fn message(
        _action: &Action<'_, Self>,
        _all: &Configured<Self>,
        _context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        Ok(None)
    }

    fn listeners(table: &TcpConfig, path: &KeyPath) -> Vec<Listener> {
        vec![Listener { key: path.key("listen"), transport: Transport::Tcp, address: table.listen }]
    }

    fn build(
        id: &AdapterId,
        table: &TcpConfig,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        let codec = context.codecs.id(table.format.codec(), &table.columns, context.site.timezone)?;
        let settings = Settings {
            listen: table.listen,
            lines: LineSource {
                adapter: id.clone(),
                format: table.format,
                codec,
                max_line: usize::try_from(table.max_line.0).unwrap_or(usize::MAX),
            },
            max_connections: table.max_connections,
            idle: table.idle.0,
            max_rate: table.max_rate,
        };
        Ok(Blueprint::new(id, &format!("{settings:?}"), move |_| TcpAdapter::new(settings.clone())))
    }
}

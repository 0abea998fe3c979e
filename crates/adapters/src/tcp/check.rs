//! `[adapters.tcp.*]`: what is wrong with a table.

use std::time::Duration;

use gateway_core::findings::{KeyPath, Report};

use super::config::TcpConfig;
use crate::lines;

/// A device that sends once an hour is to be able to stay.
const IDLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30 * 86_400));

pub(super) fn check(report: &mut Report, path: &KeyPath, table: &TcpConfig) {
    lines::check(report, path, table.format, &table.columns, table.max_line);
    let (shortest, longest) = IDLE;
    if table.idle.0 < shortest || table.idle.0 > longest {
        report.error(&path.key("idle"), "is out of range; allowed: from \"1s\" to \"30d\"");
    }
    if !table.listen.ip().is_loopback() {
        let text = format!(
            "any host that reaches {} may report in any device's name, in the clear; let a firewall decide who does",
            table.listen
        );
        report.warning(&path.key("listen"), text);
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::findings::Level;
    use gateway_core::settings::{ByteSize, HumanDuration};

    use super::*;
    use crate::lines::LineFormat;

    #[test]
    fn csv_needs_columns_idle_has_bounds_and_an_open_port_is_a_warning() {
        let table = TcpConfig {
            listen: "0.0.0.0:8080".parse().unwrap(),
            format: LineFormat::Csv,
            columns: Vec::new(),
            max_line: ByteSize(1 << 20),
            max_connections: 64,
            idle: HumanDuration::from_secs(0),
            max_rate: 1,
        };
        let mut report = Report::default();
        check(&mut report, &KeyPath::of("adapters.tcp.a"), &table);
        let found: Vec<_> =
            report.findings.iter().map(|finding| (finding.key.to_string(), finding.level)).collect();
        let expected = [
            ("adapters.tcp.a.columns", Level::Error),
            ("adapters.tcp.a.max_line", Level::Error),
            ("adapters.tcp.a.idle", Level::Error),
            ("adapters.tcp.a.listen", Level::Warning),
        ];
        assert_eq!(found, expected.map(|(key, level)| (key.to_owned(), level)));
    }
}

//! Checks `[adapters.serial.*]`, and whether the machine has the ports.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use gateway_core::findings::{KeyPath, Report};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::config::SerialConfig;
use super::port::explain;
use crate::lines;

pub(super) fn check(report: &mut Report, adapters: &BTreeMap<String, SerialConfig>) {
    let mut ports: BTreeMap<&Path, KeyPath> = BTreeMap::new();
    for (name, table) in adapters {
        let path = KeyPath::of("adapters.serial").key(name);
        lines::check(report, &path, table.format, &table.columns, table.max_line);
        if table.port.as_os_str().is_empty() {
            report.error(&path.key("port"), "is empty; write a port, such as \"/dev/ttyUSB0\"");
        }
        if let Some(other) = ports.insert(&table.port, path.key("port")) {
            report.error(
                &path.key("port"),
                format!("is the port of {other} already; one port has one adapter"),
            );
        }
    }
}

/// Warns if the port is missing or this user may not open it. Does not open it, because that would restart some boards.
pub(super) fn probe(report: &mut Report, key: &KeyPath, port: &Path) {
    let allowed = accessat(CWD, port, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS);
    if let Err(error) = allowed {
        report.warning(key, explain(port, &io::Error::from(error)));
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::settings::ByteSize;

    use super::*;
    use crate::lines::LineFormat;

    fn table(port: &str, format: LineFormat) -> SerialConfig {
        let (port, max_line) = (port.into(), ByteSize(4096));
        SerialConfig { port, baud: 9_600, format, columns: Vec::new(), max_line }
    }

    #[test]
    fn csv_needs_columns_and_a_port_has_one_adapter() {
        let adapters = BTreeMap::from([
            ("a".to_owned(), table("/dev/ttyUSB0", LineFormat::Csv)),
            ("b".to_owned(), table("/dev/ttyUSB0", LineFormat::Value)),
            (
                "c".to_owned(),
                SerialConfig { max_line: ByteSize(8), ..table("/dev/ttyUSB1", LineFormat::Node) },
            ),
            ("d".to_owned(), table("/dev/ttyUSB2", LineFormat::Json)),
        ]);
        let mut report = Report::default();
        check(&mut report, &adapters);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.key.to_string()).collect();
        assert_eq!(
            found,
            ["adapters.serial.a.columns", "adapters.serial.b.port", "adapters.serial.c.max_line"]
        );
    }

    #[test]
    fn a_port_that_is_missing_is_a_warning() {
        let mut report = Report::default();
        let key = KeyPath::of("adapters.serial.a.port");
        probe(&mut report, &key, Path::new("/dev/null"));
        assert!(report.findings.is_empty());
        probe(&mut report, &key, Path::new("/dev/no-such-port"));
        let [finding] = &*report.findings else { panic!("{:?}", report.findings) };
        assert!(finding.text.contains("/dev/no-such-port is not there"), "{}", finding.text);
    }
}

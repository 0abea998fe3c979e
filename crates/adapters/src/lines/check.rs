//! Checks the keys that `serial` and `tcp` share.

use codecs::check::check_format_and_columns;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::settings::ByteSize;

use super::LineFormat;

/// The range of `max_line`. Each connection may buffer one line: 64 connections need 4 MiB.
const MAX_LINE: (ByteSize, ByteSize) = (ByteSize(16), ByteSize(64 << 10));

/// Checks `format`, `columns` and `max_line` of `table`.
pub(crate) fn check(
    report: &mut Report,
    table: &KeyPath,
    format: LineFormat,
    columns: &[String],
    max_line: ByteSize,
) {
    check_format_and_columns(report, table, format.codec(), columns);
    let (shortest, longest) = MAX_LINE;
    if max_line < shortest || max_line > longest {
        let text = format!("is out of range; allowed: from \"{shortest}\" to \"{longest}\"");
        report.error(&table.key("max_line"), text);
    }
}

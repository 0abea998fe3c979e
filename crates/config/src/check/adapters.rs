//! What holds for adapters of all kinds: their number, and the length of their names.

use gateway_core::AdapterId;
use gateway_core::findings::{KeyPath, Report};

use crate::model::Config;

pub(super) fn check(report: &mut Report, config: &Config) {
    let mut count = 0;
    for kind in config.adapters.kinds() {
        let table = KeyPath::of("adapters").key(kind.kind());
        count += kind.names().len();
        for name in kind.names().into_iter().filter(|name| name.len() > AdapterId::MAX_NAME_BYTES) {
            let (bytes, most) = (name.len(), AdapterId::MAX_NAME_BYTES);
            report.error(&table.key(name), format!("its name has {bytes} bytes; write at most {most}"));
        }
    }
    if count > AdapterId::MAX_COUNT {
        let text = format!("there are {count} adapters; configure at most {}", AdapterId::MAX_COUNT);
        report.error(&KeyPath::of("adapters"), text);
    }
}

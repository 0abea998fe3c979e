//! Which image each node of our own firmware runs: `riser firmware`.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub device: String,
    /// The image's name: which board it is for.
    pub image: String,
    /// Empty if the node says none.
    pub version: String,
    /// How many reports it has given up since its start.
    pub lost: u32,
    /// When its newest frame came.
    pub last_heard: String,
}

/// All nodes that have said it, by name.
pub(crate) fn rows(engine: &Engine) -> Vec<Row> {
    let mut rows: Vec<_> = engine
        .nodes()
        .images()
        .map(|image| {
            let (name, version) = image.firmware.rsplit_once(' ').unwrap_or((image.firmware, ""));
            Row {
                device: engine.registry().device_name(image.device).to_owned(),
                image: name.to_owned(),
                version: version.to_owned(),
                lost: image.lost,
                last_heard: image.heard_at.to_string(),
            }
        })
        .collect();
    rows.sort_by(|one, other| one.device.cmp(&other.device));
    rows
}

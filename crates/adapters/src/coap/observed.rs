//! Which views of which devices have observers, so that news of a device finds them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use coap_link::Engine;
use gateway_core::Latest;

use super::views::View;

/// The views with observers, by device. No more than the engine has observers.
#[derive(Debug, Default)]
pub(super) struct Observed(HashMap<Arc<str>, Vec<View>>);

/// The engine's name for a view.
pub(super) fn resource(device: &str, view: &View) -> String {
    // No path segment that is a name holds this byte and means something else by it.
    format!("{device}\u{1f}{}\u{1f}{}", view.metric.as_deref().unwrap_or_default(), view.format.0)
}

impl Observed {
    /// Somebody observes this, if the engine had room.
    pub(super) fn enter(&mut self, device: &str, view: View, engine: &Engine) {
        if engine.observers(&resource(device, &view)) == 0 {
            return;
        }
        let views = match self.0.get_mut(device) {
            Some(views) => views,
            None => self.0.entry(device.into()).or_default(),
        };
        if !views.contains(&view) {
            views.push(view);
        }
    }

    /// An observer is gone from this resource: what nobody observes any more is forgotten.
    pub(super) fn gone(&mut self, name: &str, engine: &Engine) {
        let Some((device, _)) = name.split_once('\u{1f}') else { return };
        let Some(views) = self.0.get_mut(device) else { return };
        views.retain(|view| engine.observers(&resource(device, view)) > 0);
        if views.is_empty() {
            self.0.remove(device);
        }
    }

    /// Tells all who observe `device` or one of its metrics.
    pub(super) fn tell(&self, device: &str, latest: &Latest, engine: &mut Engine, now: Instant) {
        let Some(views) = self.0.get(device) else { return };
        let Some(values) = latest.of(device) else { return };
        for view in views {
            if let Some(response) = view.of(device, &values) {
                engine.notify(&resource(device, view), response, now);
            }
        }
    }

    /// How many views have observers.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

//! The observed views of each device: a new value of a device notifies their observers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use coap_link::Engine;
use read_model::ReadModel;

use super::views::View;

/// The observed views by device. There are at most as many as the engine has observers.
#[derive(Debug, Default)]
pub(super) struct Observed(HashMap<Arc<str>, Vec<View>>);

/// The engine's resource name of a view.
pub(super) fn resource(device: &str, view: &View) -> String {
    // With the length, because a name may contain any character.
    let metric = view.metric.as_deref().unwrap_or_default();
    format!("{} {} {device}{metric}", view.format.0, device.len())
}

/// The device of a name that [`resource`] made.
fn device_of(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once(' ')?;
    let (length, names) = rest.split_once(' ')?;
    names.get(..length.parse().ok()?)
}

impl Observed {
    /// Adds a view, if the engine has accepted an observer for it.
    pub(super) fn insert(&mut self, device: &str, view: View, engine: &Engine) {
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

    /// An observer of this resource is gone: removes views without observers.
    pub(super) fn remove_unobserved(&mut self, name: &str, engine: &Engine) {
        let Some(device) = device_of(name) else { return };
        let Some(views) = self.0.get_mut(device) else { return };
        views.retain(|view| engine.observers(&resource(device, view)) > 0);
        if views.is_empty() {
            self.0.remove(device);
        }
    }

    /// Notifies the observers of `device` and of its metrics.
    pub(super) fn notify(&self, device: &str, read_model: &ReadModel, engine: &mut Engine, now: Instant) {
        let Some(views) = self.0.get(device) else { return };
        let Some(device) = read_model.device(device) else { return };
        for view in views {
            if let Some(response) = view.of(&device) {
                engine.notify(&resource(&device.name, view), response, now);
            }
        }
    }

    /// The number of observed views.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_name_contains_its_device() {
        for device in ["lounge", "a b", "12 x", "\u{1f}", "über"] {
            for (metric, accept) in [(None, None), (Some("c d"), None)] {
                let view = View::new(metric, accept).unwrap();
                assert_eq!(device_of(&resource(device, &view)), Some(device));
            }
        }
        assert_eq!(device_of("50 99 short"), None);
    }
}

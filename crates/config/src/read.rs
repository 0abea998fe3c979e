//! From a merged tree to the typed [`Config`]: tables and keys of kinds are read by their kinds, the rest by serde.

use std::collections::BTreeMap;

use adapters::{Adapters, KindInfo, KindTables, kinds};
use gateway_core::findings::KeyPath;
use gateway_core::settings::TableType;
use serde_json::{Map, Value as Json};
use sinks::Sinks;

use crate::model::Config;

/// What could not be read: the key, and why.
type ReadError = (KeyPath, String);

/// Reads the whole tree, which fits the schema.
pub(crate) fn read(mut tree: Map<String, Json>) -> Result<Config, ReadError> {
    let adapters = read_adapters(&mut tree)?;
    let sinks = read_sinks(&mut tree)?;
    let targets = take_targets(&mut tree);
    let mut config: Config = serde_path_to_error::deserialize(Json::Object(tree))
        .map_err(|error| (KeyPath::of(&error.path().to_string()), error.inner().to_string()))?;
    config.adapters = adapters;
    config.sinks = sinks;
    for (name, alert) in &mut config.alerts {
        let targets = targets.get(name).map(Vec::as_slice).unwrap_or_default();
        for (action, target) in alert.actions.iter_mut().zip(targets) {
            action.target.clone_from(target);
        }
    }
    Ok(config)
}

fn read_adapters(tree: &mut Map<String, Json>) -> Result<Adapters, ReadError> {
    let mut tables = object(tree.remove("adapters"));
    let mut adapters = Adapters::default();
    for kind in kinds::all() {
        let of_kind = object(tables.remove(kind.name()));
        let devices = take_device_keys(tree, *kind);
        adapters.set(kind.read(KindTables { adapters: of_kind.into_iter().collect(), devices })?);
    }
    Ok(adapters)
}

fn read_sinks(tree: &mut Map<String, Json>) -> Result<Sinks, ReadError> {
    let mut tables = object(tree.remove("sinks"));
    let mut sinks = Sinks::default();
    for kind in sinks::kinds::all() {
        sinks.set(kind.read(object(tables.remove(kind.name())))?);
    }
    Ok(sinks)
}

/// Takes a kind's keys out of `[devices.*]`.
fn take_device_keys(
    tree: &mut Map<String, Json>,
    kind: &dyn KindInfo,
) -> BTreeMap<String, Map<String, Json>> {
    let own = kind.device_keys();
    let mut taken = BTreeMap::new();
    let Some(Json::Object(devices)) = tree.get_mut("devices") else { return taken };
    for (name, device) in devices {
        let Json::Object(keys) = device else { continue };
        let of_kind: Map<_, _> =
            own.fields.iter().filter_map(|key| Some(((*key).to_owned(), keys.remove(*key)?))).collect();
        if !of_kind.is_empty() {
            taken.insert(name.clone(), of_kind);
        }
    }
    taken
}

/// Takes the keys of kinds out of actions: by rule, in the order of its actions.
fn take_targets(tree: &mut Map<String, Json>) -> BTreeMap<String, Vec<Map<String, Json>>> {
    let own = TableType::of::<crate::model::Action>();
    let mut taken = BTreeMap::new();
    let Some(Json::Object(alerts)) = tree.get_mut("alerts") else { return taken };
    for (name, alert) in alerts {
        let Some(Json::Array(actions)) = alert.get_mut("actions") else { continue };
        let targets = actions.iter_mut().filter_map(Json::as_object_mut).map(|action| {
            let (ours, target) =
                std::mem::take(action).into_iter().partition(|(key, _)| own.fields.contains(&key.as_str()));
            *action = ours;
            target
        });
        taken.insert(name.clone(), targets.collect());
    }
    taken
}

fn object(value: Option<Json>) -> Map<String, Json> {
    match value {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    }
}

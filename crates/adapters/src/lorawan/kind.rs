//! `[adapters.lorawan.*]` as a kind of adapter.

use gateway_core::AdapterId;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::{Listener, Transport};
use gateway_core::ports::{Message, Target};
use gateway_core::settings::{BuildError, TableType};
use lorawan_link::Eui;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{DeviceKeys, LorawanConfig, LorawanDevice};
use super::{build, check};
use crate::downlink::{self, DownlinkKeys, DownlinkTarget};
use crate::kind::{Action, AdapterKind, Blueprint, BuildContext, Configured, Example, Order, OrderMessage};
use crate::site::Site;

/// LoRaWAN devices behind packet forwarders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lorawan;

/// Where an action goes: a port of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetKeys {
    /// LoRaWAN: the device, by the name of its table or its DevEUI.
    #[schemars(example = &"lounge")]
    pub device: Option<String>,
    /// LoRaWAN: the device's port. Default: the one that its codec's `encodeDownlink` returns.
    #[schemars(range(min = 1, max = 223), example = &10)]
    pub port: Option<u8>,
    /// LoRaWAN: whether the device must confirm it. Default: `false`.
    #[schemars(example = &false)]
    pub confirmed: Option<bool>,
}

impl AdapterKind for Lorawan {
    const NAME: &'static str = "lorawan";
    const LABEL: &'static str = "LoRaWAN";
    const DOC: &'static str =
        "LoRaWAN devices behind packet forwarders. The name is yours: `[adapters.lorawan.roof]`.";
    const TARGET: &'static str = "sends to a `device` and `port`";
    const PAYLOAD_DOC: &'static str = "For LoRaWAN: `hex:…`, or a JSON object for `encodeDownlink` of the device's codec, or else of the network server's.";

    type Table = LorawanConfig;
    type DeviceKeys = DeviceKeys;
    type Target = TargetKeys;

    fn nested_tables() -> Vec<TableType> {
        vec![TableType::of::<LorawanDevice>()]
    }

    fn example() -> Example {
        Example { name: "roof", ..Example::default() }
    }

    fn read_device_files(keys: &mut DeviceKeys, path: &KeyPath, files: &mut Files<'_>) {
        let Some(device) = &mut keys.lorawan else { return };
        let path = path.key("lorawan");
        files.secret(&path, "app_key", &mut device.app_key, &mut device.app_key_file);
        files.secret(&path, "nwk_skey", &mut device.nwk_skey, &mut device.nwk_skey_file);
        files.secret(&path, "app_skey", &mut device.app_skey, &mut device.app_skey_file);
    }

    fn device_address(keys: &DeviceKeys) -> Option<String> {
        keys.lorawan.as_ref()?.dev_eui.parse::<Eui>().ok().map(|dev_eui| dev_eui.to_string())
    }

    fn check(all: &Configured<Self>, site: &Site<'_>, report: &mut Report) {
        check::check(report, all, site);
    }

    fn check_action(action: &Action<'_, Self>, all: &Configured<Self>, site: &Site<'_>, report: &mut Report) {
        check::check_action(report, action, all, site);
    }

    fn message(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        let Some(keys) = action.downlink(context.site) else { return Ok(None) };
        let device = context.site.find_device(keys.device).map(|(_, device)| device);
        let codecs = (&mut *context.codecs, context.site.timezone);
        downlink::message(&keys, device, Target::new::<DownlinkTarget>, codecs)
    }

    fn command(_table: &Self::Table, order: &Order<'_>) -> Result<Vec<OrderMessage>, String> {
        let keys = [("device".to_owned(), order.device.into())].into_iter().collect();
        Ok(vec![OrderMessage { keys, payload: order.json() }])
    }

    fn listeners(table: &LorawanConfig, path: &KeyPath) -> Vec<Listener> {
        vec![Listener { key: path.key("listen"), transport: Transport::Udp, address: table.listen }]
    }

    fn build(
        id: &AdapterId,
        table: &LorawanConfig,
        all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        build::blueprint(id, table, all, context)
    }
}

impl Action<'_, Lorawan> {
    /// What it says of the device, which the adapter knows by the name of its table.
    pub(super) fn downlink<'s>(&'s self, site: &'s Site<'_>) -> Option<DownlinkKeys<'s>> {
        let text = self.target.device.as_deref()?;
        Some(DownlinkKeys {
            device: site.find_device(text).map_or(text, |(name, _)| name),
            port: self.target.port,
            confirmed: self.target.confirmed.unwrap_or_default(),
            payload: self.payload,
            by_server: false,
        })
    }
}

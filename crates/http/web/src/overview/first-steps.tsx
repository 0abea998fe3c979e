// What to do where nothing was heard yet: the lines to copy, in the order in which they are needed.
import { t } from "../i18n";
import { Lines } from "../parts/copy";

const SEND = `mosquitto_pub -t sensors/lounge/telemetry -m '{"temperature": 21.5}'`;
const EDIT = "sudoedit /etc/riser/gateway.toml\nsudo riser check\nsudo systemctl reload riser";
const TABLE = `[adapters.mqtt.zigbee]                    # zigbee2mqtt, Tasmota, Shelly …
topics = [
  { filter = "zigbee2mqtt/{device}",  format = "zigbee2mqtt" },
  { filter = "tele/{device}/SENSOR",  format = "tasmota" },
]`;
const WATCH = "sudo riser tail readings";

export function FirstSteps() {
  return (
    <section class="panel first-steps" aria-labelledby="first-steps">
      <h2 id="first-steps">{t("first.title")}</h2>
      <p class="quiet">{t("first.text")}</p>
      <ol>
        <li><h3>{t("first.send")}</h3><Lines text={SEND} label={t("first.send")} /></li>
        <li><h3>{t("first.table")}</h3><Lines text={TABLE} label={t("first.table")} /></li>
        <li><h3>{t("first.edit")}</h3><Lines text={EDIT} label={t("first.edit")} /></li>
        <li><h3>{t("first.watch")}</h3><Lines text={WATCH} label={t("first.watch")} /></li>
      </ol>
    </section>
  );
}

// One device: its values now, the chart of one of them, its alerts, rules, last messages and ledger.
import { useEffect, useState } from "preact/hooks";
import { api, type Device, type DeviceDetail } from "../api";
import { ago, millis } from "../format";
import { t } from "../i18n";
import { route, setQuery } from "../router";
import { devices, now, newestAlert } from "../state";
import { useStore } from "../store";
import { Icon } from "../parts/icon";
import { Link } from "../devices/row";
import { StateMark } from "../parts/severity";
import { useLoad } from "../parts/use-load";
import { AlertRow } from "../alerts/row";
import { metricName, orderedMetrics, shown, shownUnit } from "../metrics";
import { Chart } from "./chart-panel";
import { Messages } from "./messages";
import { DeviceLedger, Rules } from "./rules";

/** Messages, rules and ledger are fetched again now and then; values come by the stream. */
const AGAIN = 10_000;

function Heading({ device }: { device: Device }) {
  const time = useStore(now);
  return (
    <div class="device-head">
      <a class="back" href="/devices" aria-label={t("device.back")}><Icon name="back" /></a>
      <h1 id="device" tabIndex={-1}>{device.name}</h1>
      <StateMark state={device.state} severity={device.severity} word />
      <dl class="facts">
        {device.zone && <div><dt>{t("devices.zone")}</dt><dd><a href={`/devices?zone=${encodeURIComponent(device.zone)}`}>{device.zone}</a></dd></div>}
        {device.protocol && <div><dt>{t("devices.protocol")}</dt><dd>{device.protocol}</dd></div>}
        {device.address && device.address !== device.name && <div><dt>{t("device.address")}</dt><dd><code>{device.address}</code></dd></div>}
        <div><dt>{t("column.heard")}</dt><dd>{device.last_heard ? ago(millis(device.last_heard), time) : t("device.never")}</dd></div>
        {device.battery !== undefined && <div><dt>{t("column.battery")}</dt><dd>{Math.round(device.battery)} %</dd></div>}
        {device.link && <div><dt>{t("column.link")}</dt><dd class="linked"><Link link={device.link} /> {device.link.rssi !== undefined && `${device.link.rssi} dBm`}</dd></div>}
      </dl>
      {!device.named && <a class="name-it" href="/setup">{t("device.name_it")}</a>}
    </div>
  );
}

function Values({ device, metric, choose }: { device: Device; metric: string; choose: (metric: string) => void }) {
  return (
    <div class="tiles" role="group" aria-label={t("column.values")}>
      {orderedMetrics(device.metrics).map((name) => {
        const value = device.metrics[name]!;
        return (
          <button key={name} type="button" class={`tile ${value.raised ?? ""}`} aria-pressed={name === metric} data-metric={name} onClick={() => choose(name)}>
            <small>{metricName(name)}</small>
            <b>{shown(name, value.value, value.kind, value.unit)}<i>{shownUnit(value.unit, value.kind)}</i></b>
          </button>
        );
      })}
    </div>
  );
}

function OpenAlerts({ detail }: { detail: DeviceDetail }) {
  if (detail.alerts.length === 0) return null;
  return (
    <section aria-labelledby="device-alerts">
      <h2 id="device-alerts" class="sr">{t("alerts.title")}</h2>
      <ul class="alert-list">{detail.alerts.map((alert) => <AlertRow key={alert.id} alert={alert} brief />)}</ul>
    </section>
  );
}

export function DevicePage({ name }: { name: string }) {
  const { value: detail, error, again } = useLoad(() => api.device(name), name);
  const live = useStore(devices, (known) => known.byName.get(name));
  const wanted = useStore(route, (where) => where.query.get("metric"));
  const alert = useStore(newestAlert, (newest) => (newest?.device === name ? newest : null));
  const [first, setFirst] = useState<string | null>(null);

  useEffect(() => {
    const timer = setInterval(again, AGAIN);
    return () => clearInterval(timer);
  }, [name]);
  useEffect(() => {
    if (alert) again();
  }, [alert]);

  const device = live ?? detail;
  const metrics = device ? orderedMetrics(device.metrics) : [];
  // The first metric is chosen once: an alert may change the order of the values, and the chart must not jump.
  useEffect(() => {
    if (first === null && metrics[0]) setFirst(metrics[0]);
  }, [metrics[0]]);
  if (!device) return error ? <p class="panel empty">{error} <a href="/devices">{t("device.back")}</a></p> : <p class="loading">{t("loading")}</p>;
  const metric = wanted && device.metrics[wanted] ? wanted : first;
  return (
    <article class="device" aria-labelledby="device">
      <Heading device={device} />
      {metric ? (
        <>
          <Values device={device} metric={metric} choose={(chosen) => setQuery({ metric: chosen })} />
          <Chart key={metric} device={name} metric={metric} value={device.metrics[metric]!} />
        </>
      ) : (
        <p class="panel empty quiet">{t("device.no_values")}</p>
      )}
      {detail && <OpenAlerts detail={detail} />}
      {detail && (
        <div class="two uneven">
          <Messages messages={detail.messages} />
          <div class="stack">
            <Rules rules={detail.rules} />
            <DeviceLedger ledger={detail.ledger} />
          </div>
        </div>
      )}
    </article>
  );
}

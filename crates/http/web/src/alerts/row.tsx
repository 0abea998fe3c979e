// One alert: what, where, since when, what was expected, what was done about it, and a way to acknowledge or silence it.
import type { Alert } from "../api";
import { ago, dateTime, duration, millis, number, shortTime } from "../format";
import { t } from "../i18n";
import { devicePath } from "../router";
import { now } from "../state";
import { useStore } from "../store";
import { metricName } from "../metrics";
import { Icon } from "../parts/icon";
import { SeverityMark } from "../parts/severity";
import { messageOf } from "./message";
import { Acknowledge } from "./acknowledge";

function Facts({ alert }: { alert: Alert }) {
  const facts: [string, string][] = [];
  if (alert.metric) facts.push([t("alert.metric"), metricName(alert.metric)]);
  if (alert.value !== undefined) facts.push([t("alert.value"), number(alert.value)]);
  if (alert.limit !== undefined) facts.push([t("alert.limit"), number(alert.limit)]);
  if (alert.expected !== undefined) facts.push([t("alert.expected"), `${number(alert.expected[0])} – ${number(alert.expected[1])}`]);
  facts.push([t("alert.rule"), alert.alert], [t("alert.kind"), t(`alert.kind.${alert.kind}`)]);
  return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function Actions({ actions }: { actions: NonNullable<Alert["actions"]> }) {
  if (actions.length === 0) return null;
  return (
    <ul class="actions" aria-label={t("alert.actions")}>
      {actions.map((action) => (
        <li key={action.time + action.target} class={action.outcome}>
          <Icon name={action.outcome === "done" ? "check" : "close"} size={14} />
          <span class="outcome">{t(`action.${action.outcome}`)}</span>
          <code>{action.adapter} → {action.target}{action.payload ? ` ${action.payload}` : ""}</code>
          {action.error && <span class="error" lang="en">{action.error}</span>}
        </li>
      ))}
    </ul>
  );
}

export function AlertRow({ alert, brief = false }: { alert: Alert; brief?: boolean }) {
  const time = useStore(now);
  const raised = millis(alert.time);
  const cleared = alert.cleared ? millis(alert.cleared) : undefined;
  const lasted = ((cleared ?? time) - raised) / 1000;
  const open = alert.state === "raised";
  const link = alert.device ? devicePath(alert.device, alert.metric) : "";
  return (
    <li class={`panel alert ${alert.severity} ${alert.state} ${alert.acknowledged ? "acknowledged" : ""}`} data-alert={alert.id}>
      <div class="head">
        <SeverityMark severity={alert.severity} />
        {!brief && (link ? <a class="device" href={link}>{alert.device}</a> : <b class="device">{alert.zone ?? alert.alert}</b>)}
        {!brief && alert.device && alert.zone && <span class="quiet">{alert.zone}</span>}
        <time dateTime={alert.time} title={dateTime(raised)}>
          {open ? ago(raised, time) : shortTime(raised, time)}
          {!open && <> · {t("alert.lasted", { time: duration(Math.max(0, lasted)) })}</>}
        </time>
      </div>
      <p class="message" lang="en">{messageOf(alert)}</p>
      <Facts alert={alert} />
      {alert.actions && <Actions actions={alert.actions} />}
      {(open || alert.acknowledged) && <Acknowledge alert={alert} />}
    </li>
  );
}

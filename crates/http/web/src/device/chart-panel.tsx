// The chart of one metric: choice of time, zoom by buttons, keys and dragging, the figures in words, and a table of the values.
import { useMemo, useState } from "preact/hooks";
import type { Alert, Value } from "../api";
import { dateMinute, dateTime, duration, integer, millis, number, timeRange } from "../format";
import { t, tn, useLanguage } from "../i18n";
import { route, setQuery } from "../router";
import { now } from "../state";
import { useStore } from "../store";
import { Icon } from "../parts/icon";
import { SeverityMark } from "../parts/severity";
import { metricName, shown as shownValue, shownUnit, stateWord } from "../metrics";
import { messageOf } from "../alerts/message";
import { ChartCanvas } from "./chart-canvas";
import { columns, marks, summary } from "./chart-data";
import { ChartTable } from "./chart-table";
import { useHistory, type Shown } from "./use-history";
import { between, panBy, RANGE_NAMES, readView, writeView, zoomBy, type View } from "./zoom";

const POINTS = 600;
const MOST_ALERTS = 6;

function Toolbar({ view, shown, choose }: { view: View; shown: Shown | null; choose: (view: View) => void }) {
  const current = shown ? { from: shown.from, to: shown.to } : null;
  const move = (next: (time: { from: number; to: number }) => View) => () => current && choose(next(current));
  return (
    <div class="chart-tools">
      <div class="switch" role="group" aria-label={t("chart.range")}>
        {RANGE_NAMES.map((name) => (
          <button key={name} type="button" aria-pressed={"range" in view && view.range === name} onClick={() => choose({ range: name })}>{t(`range.${name}`)}</button>
        ))}
      </div>
      <div class="steps" role="group" aria-label={t("chart.move")}>
        <button type="button" class="plain" aria-label={t("chart.earlier")} title={t("chart.earlier")} onClick={move((time) => panBy(time, -0.5, now.get()))}><Icon name="back" /></button>
        <button type="button" class="plain" aria-label={t("chart.later")} title={t("chart.later")} onClick={move((time) => panBy(time, 0.5, now.get()))}><Icon name="next" /></button>
        <button type="button" class="plain" aria-label={t("chart.in")} title={t("chart.in")} onClick={move((time) => zoomBy(time, 0.5, now.get()))}><Icon name="plus" /></button>
        <button type="button" class="plain" aria-label={t("chart.out")} title={t("chart.out")} onClick={move((time) => zoomBy(time, 2, now.get()))}><Icon name="minus" /></button>
      </div>
    </div>
  );
}

/** What is under the cursor, else the figures of all that is shown. */
function Readout({ shown, value, at }: { shown: Shown; value: Value; at: number | null }) {
  const { history } = shown;
  const metric = history.metric;
  const sign = shownUnit(history.unit ?? value.unit, history.kind);
  const say = (figure: number) => `${shownValue(metric, figure, history.kind, history.unit ?? value.unit)}${sign ? `\u202f${sign}` : ""}`;
  const all = useMemo(() => summary(history.points), [history]);
  const columnsNow = useMemo(() => columns(history, shown.to / 1000), [shown]);
  const point = at === null ? null : columnsNow.points[at];
  if (point) {
    return (
      <p class="readout"><span class="when">{dateTime(millis(point.start))}</span> <b>{say(point.avg)}</b>
        {point.count > 1 && <span>{t("chart.min")} {say(point.min)} · {t("chart.max")} {say(point.max)} · ±{number(point.std)} · {tn("chart.readings", point.count, integer(point.count))}</span>}
      </p>
    );
  }
  if (!all) return <p class="readout quiet">{t("chart.nothing")}</p>;
  return (
    <p class="readout"><span class="when">{timeRange(shown.from, shown.to)}</span>
      {history.kind === "state" ? (
        <span>{stateWord(metric, 1)} <b>{number(all.avg * 100)} %</b></span>
      ) : (
        <><span>{t("chart.min")} <b>{say(all.min)}</b></span><span>{t("chart.avg")} <b>{say(all.avg)}</b></span><span>{t("chart.max")} <b>{say(all.max)}</b></span></>
      )}
      <span class="quiet">{tn("chart.readings", all.count, integer(all.count))} {history.source === "recent" ? ` · ${t("source.recent")}` : ` ${t("chart.step", { time: duration(history.step / 1000) })}`}{columnsNow.gaps.length > 0 && <> · {tn("chart.gaps", columnsNow.gaps.length, integer(columnsNow.gaps.length))}</>}</span>
    </p>
  );
}

function Legend({ history, limits }: { history: Shown["history"]; limits: number[] }) {
  const bands = history.points.some((point) => point.count > 1);
  return (
    <ul class="legend">
      <li><i class="avg" />{bands ? t("chart.avg") : t("chart.reading")}</li>
      {bands && history.kind !== "state" && <li><i class="near" />{t("chart.std")}</li>}
      {bands && <li><i class="wide" />{t("chart.minmax")}</li>}
      {limits.length > 0 && <li><i class="limit" />{t("alert.limit")}</li>}
      <li><i class="gap" />{t("chart.gap")}</li>
    </ul>
  );
}

function AlertsInView({ alerts }: { alerts: Alert[] }) {
  if (alerts.length === 0) return null;
  const more = alerts.length - MOST_ALERTS;
  return (
    <ul class="chart-alerts" aria-label={t("chart.alerts")}>
      {alerts.slice(0, MOST_ALERTS).map((alert) => (
        <li key={alert.id}>
          <SeverityMark severity={alert.severity} word={false} />
          <time dateTime={alert.time}>{alert.cleared ? timeRange(millis(alert.time), millis(alert.cleared)) : `${dateMinute(millis(alert.time))} – ${t("chart.now")}`}</time>
          <span lang="en">{messageOf(alert)}</span>
          {alert.expected !== undefined && !alert.message.includes("expected") && <span class="quiet">{t("alert.expected")} {number(alert.expected[0])} – {number(alert.expected[1])}</span>}
        </li>
      ))}
      {more > 0 && <li><a href="/alerts?show=past">{tn("chart.more_alerts", more, integer(more))}</a></li>}
    </ul>
  );
}

const KEYS: Record<string, (time: { from: number; to: number }) => View> = {
  "+": (time) => zoomBy(time, 0.5, now.get()),
  "=": (time) => zoomBy(time, 0.5, now.get()),
  "-": (time) => zoomBy(time, 2, now.get()),
  ArrowLeft: (time) => panBy(time, -0.25, now.get()),
  ArrowRight: (time) => panBy(time, 0.25, now.get()),
};

export function Chart({ device, metric, value }: { device: string; metric: string; value: Value }) {
  const words = useLanguage();
  const query = useStore(route, (where) => where.query);
  const view = readView(query);
  const { shown, problem, busy } = useHistory(device, metric, view, POINTS);
  const [at, setAt] = useState<number | null>(null);
  const choose = (next: View): void => setQuery(writeView(next));
  const drawn = useMemo(() => (shown ? columns(shown.history, shown.to / 1000) : null), [shown]);
  const state = useMemo(() => {
    if (!shown || !drawn) return null;
    const [from, to] = [shown.from / 1000, shown.to / 1000];
    return {
      marks: marks(shown.alerts, from, to),
      gaps: drawn.gaps,
      limits: [...new Set(shown.alerts.flatMap((alert) => (alert.limit !== undefined && alert.kind === "threshold" ? [alert.limit] : [])))],
      kind: shown.history.kind,
      from,
      to,
      unit: shown.history.unit ?? "",
      word: (figure: number) => stateWord(metric, figure),
    };
  }, [shown, drawn, words]);
  const press = (event: KeyboardEvent): void => {
    const next = KEYS[event.key];
    if (!next || !shown || event.target !== event.currentTarget || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(next({ from: shown.from, to: shown.to }));
  };
  const from = shown && new URLSearchParams({ device, from: new Date(shown.from).toISOString(), to: new Date(shown.to).toISOString(), format: "csv" });
  return (
    <section class={`panel chart ${busy ? "busy" : ""}`} aria-labelledby="chart">
      <div class="bar">
        <h2 id="chart">{metricName(metric)} {value.unit && <small>{shownUnit(value.unit, value.kind)}</small>}</h2>
        <Toolbar view={view} shown={shown} choose={choose} />
      </div>
      {problem && <p class="finding error" lang="en">{problem}</p>}
      {shown && <Readout shown={shown} value={value} at={at} />}
      <div class="plot-box" role="group" tabIndex={0} aria-label={t("chart.label", { metric: metricName(metric), device })} aria-describedby="chart-keys" data-from={shown?.from} data-to={shown?.to} data-points={shown?.history.points.length} data-source={shown?.history.source} onKeyDown={press}>
        {state && drawn ? <ChartCanvas columns={drawn} state={state} onSelect={(a, b) => choose(between(a, b))} onCursor={setAt} /> : <p class="loading">{t("loading")}</p>}
      </div>
      <p id="chart-keys" class="sr">{t("chart.keys")}</p>
      {shown && state && <Legend history={shown.history} limits={state.limits} />}
      {shown && <AlertsInView alerts={shown.alerts} />}
      {shown && (
        <div class="chart-foot">
          <ChartTable history={shown.history} />
          <a href={`/api/v1/export?${from}`} download>{t("chart.export")} <Icon name="download" size={14} /></a>
        </div>
      )}
    </section>
  );
}

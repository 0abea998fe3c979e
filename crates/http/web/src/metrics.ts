// Which values of a device are worth the little room of a row, and how a value is written. Knows metrics by name only to sort them.
import type { Device, MetricKind, Value } from "./api";
import { number, steady, unit } from "./format";
import { known } from "./i18n";

const FIRST = ["temperature", "humidity", "co2", "power", "flow_temperature", "occupancy", "contact", "water_leak", "smoke", "illuminance", "pressure", "energy", "volume"];
const LAST = new Set(["battery", "voltage", "linkquality", "rssi", "snr", "uptime", "device_temperature"]);

const rank = (metric: string): number => {
  const at = FIRST.indexOf(metric);
  return at >= 0 ? at : LAST.has(metric) ? 1000 : 100;
};

/** Names of a device's metrics, the most telling first; those with an alert before all. */
export function orderedMetrics(metrics: Record<string, Value>): string[] {
  return Object.keys(metrics).sort((a, b) => Number(!metrics[a]?.raised) - Number(!metrics[b]?.raised) || rank(a) - rank(b) || a.localeCompare(b));
}

/** Battery and link have columns of their own. */
const hasColumn = (device: Device, metric: string): boolean =>
  metric === "battery" ? device.battery !== undefined : device.link !== undefined && (metric === "rssi" || metric === "snr" || metric === "linkquality");

export const rowMetrics = (device: Device, most: number): string[] =>
  orderedMetrics(device.metrics).filter((metric) => !hasColumn(device, metric)).slice(0, most);

/** "flow_temperature" as a reader says it. */
export const metricName = (metric: string): string => known(`metric.${metric}`, metric.replaceAll("_", " "));

/** A state in words: "open", "occupied", else "on" and "off". */
export function stateWord(metric: string, value: number): string {
  const side = value === 0 ? "0" : "1";
  if (value !== 0 && value !== 1) return number(value);
  return known(`state.${metric}.${side}`, known(`state.${side}`, String(value)));
}

/** Digits that a value keeps while it moves; whole numbers for what is counted in hundreds, as ppm and lux are. */
function digits(value: number, code: string | undefined): number {
  const size = Math.abs(value);
  if (code === "%EL" || size >= 1000) return 0;
  if (size >= 100) return code === "ppm" || code === "lx" || code === "W" ? 0 : 1;
  return size >= 1 || value === 0 ? 1 : 2;
}

/** The value without its unit. */
export const shown = (metric: string, value: number, kind: MetricKind, code?: string): string =>
  kind === "state" ? stateWord(metric, value) : Number.isInteger(value) && code === undefined ? number(value) : steady(value, digits(value, code));

export const shownUnit = (code: string | undefined, kind: MetricKind): string => (kind === "state" ? "" : unit(code));

export function withUnit(metric: string, value: Pick<Value, "value" | "unit" | "kind">): string {
  const sign = shownUnit(value.unit, value.kind);
  return shown(metric, value.value, value.kind, value.unit) + (sign ? `\u202f${sign}` : "");
}

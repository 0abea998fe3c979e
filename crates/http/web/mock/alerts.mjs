// Alerts of the made-up building: some of the past, some open at the start, and from then on they come and go.
import { chance, valueAt } from "./building.mjs";

const HOUR = 3_600_000;
const iso = (t) => new Date(t).toISOString();

export const RULES = {
  "too-hot": { metric: "temperature", limit: 28, by: 9, severity: "warning", kind: "threshold", text: "temperature above 28 for 1 min, warning" },
  stuffy: { metric: "co2", limit: 1400, by: 1050, severity: "info", kind: "threshold", text: "co2 above 1400, info" },
  "boiler-hot": { metric: "flow_temperature", limit: 75, by: 24, severity: "critical", kind: "threshold", text: "flow_temperature above 75, critical" },
  leak: { metric: "water_leak", limit: 0, by: 1, severity: "critical", kind: "threshold", text: "water_leak above 0, critical" },
  "power-jump": { metric: "power", by: 700, severity: "warning", kind: "rate", text: "power rises by 500 within 5 min, warning" },
  odd: { metric: "temperature", by: -6, severity: "warning", kind: "anomaly", text: "temperature: anomaly at or above 0.5, warning" },
};

export const rulesOf = (device) =>
  Object.entries(RULES).filter(([, rule]) => device.sort.metrics.includes(rule.metric)).map(([name, rule]) => ({ name, text: rule.text }));

function message(rule, name, value, expected) {
  if (rule.kind === "anomaly") return `${rule.metric} ${value} is not usual at this time: expected about ${expected}`;
  if (rule.kind === "rate") return `${rule.metric} rose by ${rule.by} within 5 minutes`;
  return `${rule.metric} ${value} is above ${rule.limit}`;
}

let count = 0;

/** An alert of a device at a time; the device's values show it. */
export function makeAlert(device, ruleName, from, to) {
  const rule = RULES[ruleName];
  const expected = valueAt(device, rule.metric, from);
  device.bumps.push({ metric: rule.metric, from: from - 60_000, to: to ?? Infinity, by: rule.by });
  const heard = valueAt(device, rule.metric, from);
  const value = rule.limit === undefined ? heard : Math.round(100 * Math.max(heard, rule.limit * 1.03, rule.limit + 0.5)) / 100;
  const failed = chance(device.name, from) > 0.75;
  const actions =
    ruleName === "too-hot" || ruleName === "leak"
      ? [{ time: iso(from + 120), adapter: "mqtt.floor", target: `zigbee2mqtt/${ruleName === "leak" ? "main-valve" : "hvac"}/set`, payload: ruleName === "leak" ? '{"state":"OFF"}' : '{"fan_mode":"high"}', outcome: failed ? "failed" : "done", ...(failed ? { error: "no answer within 10 s" } : {}) }]
      : undefined;
  count += 1;
  return {
    id: `mock/${device.name}/${ruleName}/${from}/${count}`,
    alert: ruleName,
    device: device.name,
    ...(device.zone ? { zone: device.zone } : {}),
    metric: rule.metric,
    kind: rule.kind,
    severity: rule.severity,
    state: to === undefined ? "raised" : "cleared",
    time: iso(from),
    ...(to === undefined ? {} : { cleared: iso(to) }),
    value,
    ...(rule.limit === undefined ? {} : { limit: rule.limit }),
    ...(rule.kind === "anomaly" ? { expected: [expected - 0.5, expected + 0.5] } : {}),
    message: message(rule, ruleName, value, expected),
    can_acknowledge: rule.kind === "anomaly",
    ...(actions ? { actions } : {}),
  };
}

const fitting = (devices, ruleName) => devices.filter((device) => device.named && !device.silent && device.sort.metrics.includes(RULES[ruleName].metric));

export class Alerts {
  constructor(devices, now) {
    this.devices = [...devices.values()];
    this.all = [];
    this.turn = 0;
    const names = Object.keys(RULES);
    for (let at = 0; at < Math.min(160, this.devices.length * 3); at += 1) {
      const from = now - (1 + chance("past", at) * 24 * 29) * HOUR;
      const ruleName = names[at % names.length];
      const fits = fitting(this.devices, ruleName);
      const device = fits[Math.floor(chance("who", at) * fits.length)];
      if (device) this.all.push(makeAlert(device, ruleName, from, from + (5 + chance("long", at) * 80) * 60_000));
    }
    for (const [ruleName, ago] of [["odd", 26], ["too-hot", 9], ["stuffy", 48]]) {
      const device = fitting(this.devices, ruleName)[ruleName.length % 5];
      if (device) this.all.push(makeAlert(device, ruleName, now - ago * 60_000));
    }
    this.sort();
  }

  sort() {
    this.all.sort((a, b) => (a.time < b.time ? 1 : -1));
  }
  get open() {
    return this.all.filter((alert) => alert.state === "raised");
  }

  /** Raises one and clears one in turn; what changed is returned. */
  step(now) {
    this.turn += 1;
    const open = this.open;
    if (open.length > 5 || (this.turn % 2 === 0 && open.length > 3)) {
      const alert = open.filter((one) => one.kind !== "anomaly").at(-1) ?? open.at(-1);
      const device = this.devices.find((one) => one.name === alert.device);
      const bump = device.bumps.findLast((one) => one.metric === alert.metric && one.to === Infinity);
      if (bump) bump.to = now;
      Object.assign(alert, { state: "cleared", cleared: iso(now), can_acknowledge: false });
      return alert;
    }
    const names = ["odd", "too-hot", "odd", "boiler-hot", "power-jump", "odd", "leak", "stuffy"];
    const ruleName = names[this.turn % names.length];
    const busy = new Set(open.map((alert) => alert.device));
    const fits = fitting(this.devices, ruleName).filter((device) => !busy.has(device.name));
    const device = fits[Math.floor(chance("raise", this.turn) * fits.length)];
    if (!device) return null;
    const alert = makeAlert(device, ruleName, now);
    this.all.unshift(alert);
    return alert;
  }

  acknowledge(device, metric, seconds, now) {
    const rows = this.open.filter((alert) => alert.device === device && (!metric || alert.metric === metric));
    const acknowledged = rows.filter((alert) => alert.can_acknowledge && !alert.acknowledged);
    for (const alert of acknowledged) Object.assign(alert, { acknowledged: { until: iso(now + seconds * 1000) }, can_acknowledge: false });
    return { acknowledged, others: rows.filter((alert) => !acknowledged.includes(alert)) };
  }
}

// What the made-up gateway answers: overview, devices, history, sparklines, configuration, codecs, after the API's contract.
import { chance, isOut, kindOf, unitOf, valueAt } from "./building.mjs";
import { rulesOf } from "./alerts.mjs";

const iso = (t) => new Date(t).toISOString();
const RANK = { info: 1, warning: 2, critical: 3 };

export const lastHeard = (device, now) => now - ((now + device.phase) % device.every);

function worst(alerts) {
  return alerts.reduce((found, alert) => (found && RANK[found] >= RANK[alert.severity] ? found : alert.severity), undefined);
}

export function deviceAnswer(device, alerts, now) {
  const own = alerts.filter((alert) => alert.device === device.name && !alert.acknowledged);
  const heard = lastHeard(device, now);
  const metrics = {};
  if (!device.silent) {
    for (const metric of device.sort.metrics) {
      const raised = worst(own.filter((alert) => alert.metric === metric));
      metrics[metric] = { value: valueAt(device, metric, heard), ...(unitOf(metric) ? { unit: unitOf(metric) } : {}), time: iso(heard), kind: kindOf(metric), ...(raised ? { raised } : {}) };
    }
    if (device.battery !== undefined) metrics.battery = { value: device.battery, unit: "%EL", time: iso(heard), kind: "gauge" };
  }
  const severity = worst(own);
  return {
    name: device.name,
    ...(device.zone ? { zone: device.zone } : {}),
    protocol: device.protocol,
    named: device.named,
    ...(device.address ? { address: device.address } : {}),
    ...(device.silent ? {} : { last_heard: iso(heard) }),
    state: device.silent ? "unheard" : severity ? "alert" : "ok",
    ...(severity ? { severity } : {}),
    ...(device.battery !== undefined ? { battery: device.battery } : {}),
    ...(device.link ? { link: device.link } : {}),
    metrics,
  };
}

const hexOf = (text) => Buffer.from(text).toString("hex");

function messageOf(device, t) {
  const metrics = Object.fromEntries(device.sort.metrics.map((metric) => [metric, valueAt(device, metric, t)]));
  const topics = { mqtt: `zigbee2mqtt/${device.name}`, coap: `/sensors/${device.name}` };
  const base = { time: iso(t), protocol: device.protocol, ...(topics[device.protocol] ? { topic: topics[device.protocol] } : {}), codec: device.sort.codec };
  if (chance(device.name, t) > 0.93) return { ...base, payload_hex: hexOf('{"temperature":'), payload_text: '{"temperature":', metrics: {}, error: "EOF while parsing a value at line 1 column 15" };
  if (device.protocol === "ble" || device.protocol === "lorawan") {
    const bytes = Buffer.alloc(4 * device.sort.metrics.length);
    Object.values(metrics).forEach((value, at) => bytes.writeInt16BE(Math.max(-32768, Math.min(32767, Math.round(value * 10))), at * 4 + 2));
    return { ...base, payload_hex: bytes.toString("hex"), metrics };
  }
  const text = device.sort.codec === "csv" ? [device.name, ...Object.values(metrics)].join(",") : JSON.stringify(metrics);
  return { ...base, payload_hex: hexOf(text), payload_text: text, metrics };
}

export function deviceDetail(device, alerts, now) {
  const heard = lastHeard(device, now);
  return {
    ...deviceAnswer(device, alerts, now),
    rules: rulesOf(device),
    alerts: alerts.filter((alert) => alert.device === device.name),
    messages: device.silent ? [] : Array.from({ length: 12 }, (_, at) => messageOf(device, heard - at * device.every)),
    ledger: { received: device.silent ? 0 : Math.floor((now % 86_400_000) / device.every) * device.sort.metrics.length, refused: chance(device.name, "refused") > 0.6 ? { bad_payload: 3, late: 1 } : {} },
  };
}

const TIERS = [
  { source: "windows", step: 300_000, keep: 30 * 86_400_000 },
  { source: "hours", step: 3_600_000, keep: 365 * 86_400_000 },
  { source: "days", step: 86_400_000, keep: Infinity },
];
const SAMPLES = 24;

function bucket(device, metric, start, step) {
  const values = [];
  for (let at = 0; at < SAMPLES; at += 1) {
    const t = start + ((at + 0.5) * step) / SAMPLES;
    if (!isOut(device, t)) values.push(valueAt(device, metric, t));
  }
  if (values.length < SAMPLES / 3) return null;
  const avg = values.reduce((sum, value) => sum + value, 0) / values.length;
  const std = Math.sqrt(values.reduce((sum, value) => sum + (value - avg) ** 2, 0) / values.length);
  return { start: iso(start), end: iso(start + step), avg, min: Math.min(...values), max: Math.max(...values), std, count: Math.max(1, Math.round(step / device.every)) };
}

export function history(device, metric, from, to, points, now, oldest) {
  const base = { device: device.name, metric, ...(unitOf(metric) ? { unit: unitOf(metric) } : {}), kind: kindOf(metric), from: iso(from), to: iso(to) };
  const start = Math.max(from, oldest);
  if (now - from < 16 * 60_000 && now - to < 5_000) {
    const list = [];
    for (let t = lastHeard(device, now); t >= start; t -= device.every) {
      if (isOut(device, t) || t > to) continue;
      const value = valueAt(device, metric, t);
      list.unshift({ start: iso(t), end: iso(t), avg: value, min: value, max: value, std: 0, count: 1 });
    }
    return { ...base, step: 0, source: "recent", points: list };
  }
  const tier = TIERS.findLast((one) => (to - start) / one.step >= points) ?? TIERS[0];
  const step = Math.max(tier.step, Math.ceil((to - start) / points / tier.step) * tier.step);
  const list = [];
  for (let t = Math.floor(start / step) * step; t + step <= Math.min(to, now); t += step) {
    const point = bucket(device, metric, t, step);
    if (point) list.push(point);
  }
  return { ...base, step, source: tier.source, points: list };
}

export function sparkline(device, metric, now) {
  const step = 1_800_000;
  const end = Math.floor(now / step) * step;
  return Array.from({ length: 48 }, (_, at) => {
    const t = end - (48 - at) * step + step / 2;
    return device.silent || isOut(device, t) ? null : valueAt(device, metric, t);
  });
}

export function decode({ codec, bytes }) {
  const data = Buffer.from(bytes, "hex");
  const result = { data: {}, errors: [], warnings: [], metrics: {} };
  if (codec === "cayenne-lpp") {
    for (let at = 0; at + 3 < data.length + 1; ) {
      const [channel, type] = [data[at], data[at + 1]];
      if (type === 0x67 && at + 4 <= data.length) result.metrics[`temperature_${channel}`] = data.readInt16BE(at + 2) / 10;
      else if (type === 0x68 && at + 3 <= data.length) result.metrics[`humidity_${channel}`] = data[at + 2] / 2;
      else return { ...result, metrics: {}, errors: [`unknown type ${type} at byte ${at + 1}`] };
      at += type === 0x67 ? 4 : 3;
    }
    return { ...result, data: result.metrics };
  }
  try {
    const value = JSON.parse(data.toString("utf8"));
    const metrics = Object.fromEntries(Object.entries(value).filter(([, one]) => typeof one === "number" || typeof one === "boolean").map(([name, one]) => [name, Number(one)]));
    return { ...result, data: value, metrics };
  } catch (error) {
    return { ...result, errors: [String(error.message)] };
  }
}

const TABLES = new Set(["gateway", "upstream", "broker", "adapters", "devices", "aggregate", "anomaly", "alerts", "notify", "journal", "sinks", "history", "http", "home_assistant"]);

/** A very small part of what `riser check` finds. */
export function check(text) {
  const findings = [];
  text.split("\n").forEach((line, at) => {
    const table = /^\s*\[+\s*([\w-]+)/.exec(line);
    const place = { file: "gateway.toml", line: at + 1, column: line.search(/\S/) + 1 };
    if (table && !TABLES.has(table[1])) findings.push({ severity: "error", ...place, key: table[1], message: "unknown table" });
    if (/\btopcs\b/.test(line)) findings.push({ severity: "error", ...place, key: "adapters.mqtt.floor.topcs", message: 'unknown key; did you mean "topics"?' });
    if (/anonymous\s*=\s*true/.test(line)) findings.push({ severity: "warning", ...place, key: "broker.anonymous", message: "every client on the network may publish" });
    if (!/^\s*(#|\[|$)/.test(line) && !line.includes("=") && !/^\s*[\]{}]/.test(line)) findings.push({ severity: "error", ...place, key: "", message: "expected a key, `=` and a value" });
  });
  return findings;
}

export const CODECS = ["bthome", "cayenne-lpp", "cbor", "chirpstack", "csv", "json", "node", "senml", "shelly", "tasmota", "ttn", "value", "zigbee2mqtt"];

export const TOML = `[gateway]
id       = "hq-north"
timezone = "Europe/Paris"

[upstream]
url           = "mqtts://broker.example.com:8883"
username      = "hq-north"
password      = "***"

[broker]                                  # for the building's own devices
listen    = "0.0.0.0:1883"
anonymous = true

[adapters.mqtt.floor]
topics = [
  { filter = "sensors/{device}/telemetry", format = "json" },
  { filter = "zigbee2mqtt/{device}",       format = "zigbee2mqtt" },
]
[adapters.lorawan.roof]
listen = "0.0.0.0:1700"
region = "EU868"

[adapters.ble.hall]
adapter = "hci0"

[alerts.too-hot]
metric   = "temperature"
above    = 28.0
for      = "1m"
severity = "warning"
actions  = [ { adapter = "mqtt.floor", topic = "zigbee2mqtt/hvac/set", payload = '{"fan_mode":"high"}' } ]

[history]
keep = "30d"
`;

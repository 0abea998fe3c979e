// The state of the made-up gateway: what it counts, its stream with resume, and its answers to each path.
import { makeBuilding } from "./building.mjs";
import { Alerts } from "./alerts.mjs";
import { check, CODECS, decode, deviceAnswer, deviceDetail, history, sparkline, TOML, lastHeard } from "./answers.mjs";

const iso = (t) => new Date(t).toISOString();
const SECONDS = { m: 60, h: 3600, d: 86_400, s: 1 };
const KEPT_EVENTS = 500;

class Problem extends Error {
  constructor(status, title, detail) {
    super(detail ?? title);
    Object.assign(this, { status, title, detail });
  }
}
export const problem = (status, title, detail) => new Problem(status, title, detail);

export class Gateway {
  constructor({ devices, password }) {
    this.started = Date.now() - 3 * 86_400_000 - 7_000_000;
    this.oldest = Date.now() - 400 * 86_400_000;
    this.building = makeBuilding(devices);
    this.alerts = new Alerts(this.building.devices, Date.now());
    this.password = password;
    this.epoch = Date.now().toString(36);
    this.events = [];
    this.count = 0;
    this.clients = new Set();
    this.received = devices * 26_021;
    this.published = Math.round(this.received * 0.962);
    this.cursor = 0;
  }

  get list() {
    return [...this.building.devices.values()];
  }

  overview(now = Date.now()) {
    const devices = this.list;
    const open = this.alerts.open.filter((alert) => !alert.acknowledged);
    const alerts = { critical: 0, warning: 0, info: 0 };
    for (const alert of open) alerts[alert.severity] += 1;
    const dropped = devices.length ? { late: 214, bad_payload: 37, no_room: 3 } : {};
    const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
    const rest = Math.max(0, this.received - lost - this.published);
    const queued = Math.min(rest, devices.length * 4);
    const ledger = { in: this.received, published: devices.length ? this.published : 0, queued, open: devices.length ? rest - queued : 0, dropped, balanced: true };
    const part = (share) => ({ in: Math.round(ledger.in * share), published: Math.round(ledger.published * share), queued: Math.round(queued * share), open: Math.round(ledger.open * share), dropped: { late: Math.round(214 * share) } });
    const up = { state: "up", since: iso(this.started), restarts: 0 };
    return {
      gateway: { id: "hq-north", version: "0.1.0", time: iso(now), uptime: (now - this.started) / 1000, timezone: "Europe/Paris", time_quality: "synced" },
      well: open.length === 0,
      problems: [],
      counts: { devices: devices.length, heard: devices.filter((device) => !device.silent).length, alerting: new Set(open.map((alert) => alert.device)).size, unnamed: devices.filter((device) => !device.named).length, alerts },
      adapters: devices.length
        ? { "mqtt.floor": up, "lorawan.roof": { ...up, restarts: 1 }, "ble.hall": up, "coap.lan": up, "serial.boiler": { state: "starting", since: iso(now - 42_000), restarts: 3, last_error: "/dev/ttyUSB0: no such port" } }
        : { "mqtt.sensors": up },
      sinks: devices.length ? { "influxdb.local": { delivered: Math.round(this.published / 60), queued: 12, dropped: 0, lag_s: 2 } } : {},
      upstream: devices.length ? { url: "mqtts://broker.example.com:8883", connected: true, published: Math.round(this.published / 70) } : null,
      queue: { messages: devices.length ? 14 : 0, bytes: devices.length ? 5_812 : 0 },
      ledger: { ...ledger, adapters: devices.length ? { "mqtt.floor": part(0.71), "lorawan.roof": part(0.14), "ble.hall": part(0.15) } : {} },
      memory: { resident: 21_400_000 },
      disk: { bytes: 412_000_000, per_day: devices.length * 355_000 },
      history: { from: iso(this.oldest), bytes: devices.length * 890_000, readings: false },
      zones: devices.length ? this.building.zones : [],
    };
  }

  emit(event, data) {
    this.count += 1;
    const entry = { id: `${this.epoch}-${this.count}`, text: `id: ${this.epoch}-${this.count}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n` };
    this.events.push(entry);
    if (this.events.length > KEPT_EVENTS) this.events.shift();
    for (const client of this.clients) client.write(entry.text);
  }

  /** A new stream: what it missed, or a reset where that is no longer known. */
  join(response, lastId) {
    response.write(`event: hello\ndata: ${JSON.stringify({ time: iso(Date.now()) })}\n\n`);
    if (lastId) {
      const at = this.events.findIndex((entry) => entry.id === lastId);
      if (at < 0) response.write("event: reset\ndata: {}\n\n");
      else for (const entry of this.events.slice(at + 1)) response.write(entry.text);
    }
    this.clients.add(response);
    response.on("close", () => this.clients.delete(response));
  }

  /** A second of the building's life: the devices heard in it, at most a tenth of them at 5,000. */
  second() {
    const now = Date.now();
    const open = this.alerts.open;
    const heard = this.list.filter((device) => !device.silent && now - lastHeard(device, now) < 1000).slice(0, 600);
    const devices = heard.map((device) => {
      const { name, last_heard, state, severity, metrics } = deviceAnswer(device, open, now);
      const parts = Object.fromEntries(Object.entries(metrics).map(([metric, { value, time, raised }]) => [metric, { value, time, ...(raised ? { raised } : {}) }]));
      return { name, last_heard, state, ...(severity ? { severity } : {}), metrics: parts };
    });
    if (devices.length === 0) return;
    this.received += devices.length * 3;
    this.published += Math.round(devices.length * 2.9);
    this.emit("devices", { devices });
  }

  alertStep() {
    const alert = this.alerts.step(Date.now());
    if (alert) this.emit("alert", alert);
  }

  find(name) {
    const device = this.building.devices.get(name);
    if (!device) throw problem(404, "Not Found", `no device ${name}`);
    return device;
  }

  page(rows, query) {
    const limit = Math.min(1000, Math.max(1, Number(query.get("limit") ?? 100)));
    const start = Number(query.get("after") ?? 0);
    return { rows: rows.slice(start, start + limit), ...(start + limit < rows.length ? { next: String(start + limit) } : {}) };
  }

  devices(query) {
    const { rows, next } = this.page(this.list, query);
    const open = this.alerts.open;
    return { devices: rows.map((device) => deviceAnswer(device, open, Date.now())), total: this.list.length, ...(next ? { next } : {}) };
  }

  alertList(query) {
    const [state, device, from, to] = ["state", "device", "from", "to"].map((name) => query.get(name));
    const rows = this.alerts.all.filter((alert) =>
      (state === "open" ? alert.state === "raised" : state === "past" ? alert.state === "cleared" : true) &&
      (!device || alert.device === device) && (!from || (alert.cleared ?? iso(Date.now())) >= from) && (!to || alert.time <= to));
    const { rows: alerts, next } = this.page(rows, query);
    return { alerts, ...(next ? { next } : {}) };
  }

  sparklines(query) {
    const now = Date.now();
    const answer = { from: iso(now - 86_400_000), to: iso(now), step: 1_800_000, sparklines: {}, metrics: {} };
    for (const name of query.getAll("device").slice(0, 100)) {
      const device = this.find(name);
      const metric = query.get("metric") ?? device.sort.metrics[0];
      answer.sparklines[name] = sparkline(device, metric, now);
      answer.metrics[name] = metric;
    }
    return answer;
  }

  get(path, query) {
    const [, name, rest] = /^\/devices\/([^/]+)(\/history)?$/.exec(path) ?? [];
    if (name) {
      const device = this.find(decodeURIComponent(name));
      if (!rest) return deviceDetail(device, this.alerts.open, Date.now());
      return history(device, query.get("metric"), Date.parse(query.get("from")), Date.parse(query.get("to")), Number(query.get("points") ?? 500), Date.now(), this.oldest);
    }
    switch (path) {
      case "/overview": return this.overview();
      case "/devices": return this.devices(query);
      case "/sparklines": return this.sparklines(query);
      case "/alerts": return this.alertList(query);
      case "/ledger": return this.overview().ledger;
      case "/config": return { file: "/etc/riser/gateway.toml", toml: TOML, findings: check(TOML) };
      case "/codecs": return { codecs: CODECS };
      default: throw problem(404, "Not Found", `no path ${path}`);
    }
  }

  post(path, body) {
    switch (path) {
      case "/config/check": return { findings: check(body) };
      case "/decode": return decode(JSON.parse(body));
      case "/alerts/acknowledge": {
        const { device, metric, for: time } = JSON.parse(body);
        const [, count, unit] = /^(\d+)([smhd])$/.exec(time ?? "") ?? [];
        if (!count) throw problem(400, "Bad Request", "for: a duration such as 30d");
        const answer = this.alerts.acknowledge(device, metric, Number(count) * SECONDS[unit], Date.now());
        for (const alert of answer.acknowledged) this.emit("alert", alert);
        return answer;
      }
      default: throw problem(404, "Not Found", `no path ${path}`);
    }
  }
}

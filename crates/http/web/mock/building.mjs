// A made-up building: devices, and a value for each of their metrics at any time, so that history needs no store.

/** A number in 0..1 that is always the same for the same words. */
export function chance(...words) {
  let hash = 2166136261;
  for (const letter of words.join("|")) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Smooth noise around 0: two octaves between fixed random values. */
function noise(seed, t, period) {
  const at = t / period;
  const cell = Math.floor(at);
  const ease = (at - cell) ** 2 * (3 - 2 * (at - cell));
  return (chance(seed, cell) * (1 - ease) + chance(seed, cell + 1) * ease) * 2 - 1;
}
const occupied = (t) => {
  const hour = (t % DAY) / HOUR;
  const weekday = Math.floor(t / DAY + 4) % 7;
  return weekday === 0 || weekday === 6 ? 0.08 : Math.max(0, Math.min(1, Math.min(hour - 6.5, 18 - hour) / 1.5));
};

/** What each metric does over the day; s is the device's name. */
const SIGNALS = {
  temperature: (s, t) => 20.6 + 2 * chance(s) + 1.1 * occupied(t) + 0.5 * noise(s, t, 3 * HOUR) + 0.35 * noise(`${s}m`, t, 420_000) + 0.12 * noise(`${s}f`, t, 40_000),
  humidity: (s, t) => 43 + 8 * chance(s, "h") + 4 * noise(`${s}h`, t, 8 * HOUR) + 0.9 * noise(`${s}hf`, t, 90_000),
  co2: (s, t) => 430 + 620 * occupied(t) * (0.5 + 0.5 * chance(s, "c")) + 60 * noise(`${s}c`, t, HOUR) + 30 * noise(`${s}cf`, t, 90_000),
  power: (s, t) => Math.max(0, 60 + 900 * occupied(t) * chance(s, "p") + 90 * noise(`${s}p`, t, 20 * 60_000) + 10 * noise(`${s}pf`, t, 20_000)),
  energy: (s, t) => 1200 * chance(s, "e") + (t - 1.76e12) / HOUR * (0.2 + chance(s, "e2")),
  voltage: (s, t) => 230 + 2 * noise(`${s}v`, t, HOUR),
  occupancy: (s, t) => (noise(`${s}o`, t, 25 * 60_000) * 0.5 + 0.5 < occupied(t) * 0.9 ? 1 : 0),
  contact: (s, t) => (noise(`${s}d`, t, 12 * 60_000) > 0.55 * (1.2 - occupied(t)) ? 0 : 1),
  water_leak: () => 0,
  illuminance: (s, t) => Math.max(2, 420 * occupied(t) + 60 * noise(`${s}l`, t, HOUR)),
  flow_temperature: (s, t) => 58 + 6 * noise(`${s}ft`, t, 2 * HOUR) + 2 * Math.sin(t / 300_000),
  return_temperature: (s, t) => 41 + 4 * noise(`${s}rt`, t, 2 * HOUR) + Math.sin(t / 300_000 - 0.6),
  pressure: (s, t) => 1013 + 9 * noise("weather", t, 2 * DAY),
  setpoint: () => 21,
};
const UNITS = { temperature: "Cel", humidity: "%RH", co2: "ppm", power: "W", energy: "kWh", voltage: "V", illuminance: "lx", flow_temperature: "Cel", return_temperature: "Cel", pressure: "hPa", setpoint: "Cel" };
const KINDS = { energy: "counter", occupancy: "state", contact: "state", water_leak: "state" };

const SORTS = [
  { word: "climate", protocol: "ble", metrics: ["temperature", "humidity"], battery: true, codec: "bthome" },
  { word: "air", protocol: "mqtt", metrics: ["temperature", "humidity", "co2"], battery: false, codec: "json" },
  { word: "presence", protocol: "mqtt", metrics: ["occupancy", "illuminance", "temperature"], battery: true, codec: "zigbee2mqtt" },
  { word: "plug", protocol: "mqtt", metrics: ["power", "energy", "voltage"], battery: false, codec: "tasmota" },
  { word: "window", protocol: "lorawan", metrics: ["contact", "temperature"], battery: true, codec: "cayenne-lpp" },
  { word: "radiator", protocol: "mqtt", metrics: ["temperature", "setpoint"], battery: true, codec: "zigbee2mqtt" },
  { word: "weather", protocol: "coap", metrics: ["temperature", "humidity", "pressure"], battery: false, codec: "senml" },
];
const BASEMENT = [
  { word: "boiler", protocol: "serial", metrics: ["flow_temperature", "return_temperature", "power"], battery: false, codec: "csv" },
  { word: "leak", protocol: "lorawan", metrics: ["water_leak", "temperature"], battery: true, codec: "cayenne-lpp" },
  { word: "meter", protocol: "tcp", metrics: ["power", "energy"], battery: false, codec: "csv" },
];
const ROOMS = ["lounge", "kitchen", "office-1", "office-2", "meeting", "lab", "archive", "hall"];
const CELLARS = ["boiler-room", "meters", "garage"];

function zoneNames(count) {
  const floors = Math.max(3, Math.min(25, Math.ceil(count / 60)));
  const rooms = count > 500 ? ROOMS.concat(["office-3", "office-4", "print", "server"]) : ROOMS.slice(0, 6);
  const zones = [];
  for (let floor = floors; floor >= 1; floor -= 1) for (const room of rooms) zones.push(`floor-${floor}/${room}`);
  return zones.concat(CELLARS.map((room) => `basement/${room}`));
}

const hex = (digits, ...words) => Array.from({ length: digits }, (_, at) => Math.floor(chance(...words, at) * 16).toString(16)).join("");

export function makeBuilding(count) {
  const zones = zoneNames(count);
  const devices = new Map();
  for (let at = 0; at < count; at += 1) {
    const zone = zones[at % zones.length];
    const room = zone.split("/")[1];
    const cellar = zone.startsWith("basement");
    const sort = cellar ? BASEMENT[CELLARS.indexOf(room)] : SORTS[Math.floor(chance("sort", at) * SORTS.length)];
    const unnamed = at % 16 === 7;
    const mac = hex(12, "mac", at).toUpperCase().match(/../g).join(":");
    const name = unnamed ? (sort.protocol === "ble" ? mac : sort.protocol === "lorawan" ? hex(16, "eui", at) : `0x${hex(8, "dev", at)}`) : `${cellar ? "" : `f${zone.match(/\d+/)[0]}-`}${room}-${sort.word}${at >= zones.length ? `-${Math.floor(at / zones.length) + 1}` : ""}`;
    const radio = sort.protocol === "ble" || sort.protocol === "lorawan";
    devices.set(name, {
      name,
      ...(unnamed ? {} : { zone }),
      protocol: sort.protocol,
      named: !unnamed,
      address: unnamed ? name : radio ? mac : undefined,
      sort,
      every: sort.protocol === "lorawan" ? 20_000 : 4_000 + Math.floor(chance("every", at) * 8_000),
      phase: Math.floor(chance("phase", at) * 8_000),
      silent: at % 41 === 40,
      ...(sort.battery ? { battery: Math.round(5 + 95 * Math.sqrt(chance("battery", at))) } : {}),
      ...(radio ? { link: { rssi: -Math.round(48 + 55 * chance("rssi", at)), ...(sort.protocol === "lorawan" ? { snr: Math.round(10 - 12 * chance("snr", at)) } : {}) } } : sort.codec === "zigbee2mqtt" ? { link: { linkquality: Math.round(60 + 190 * chance("lqi", at)) } } : {}),
      bumps: [],
    });
  }
  return { zones, devices };
}

/** Whether the device was out of order: a few hours on some days. */
export function isOut(device, t) {
  const day = Math.floor(t / DAY);
  if (chance(device.name, "outage", day) > 0.12) return false;
  const start = day * DAY + chance(device.name, "start", day) * 18 * HOUR;
  return t >= start && t < start + 2.5 * HOUR;
}

/** The value of a metric at a time, with what alerts make of it. */
export function valueAt(device, metric, t) {
  let value = (SIGNALS[metric] ?? (() => 0))(device.name, t);
  for (const bump of device.bumps) {
    if (bump.metric !== metric || t < bump.from || t > bump.to) continue;
    value += bump.by * Math.min(1, (t - bump.from + 20_000) / 90_000);
  }
  const step = metric === "energy" ? 1000 : KINDS[metric] === "state" ? 1 : 100;
  return Math.round(value * step) / step;
}
export const unitOf = (metric) => UNITS[metric];
export const kindOf = (metric) => KINDS[metric] ?? "gauge";

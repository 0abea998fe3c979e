// Numbers, units, times and durations as the browser's locale has them; times in the gateway's zone.

const LOCALE = typeof navigator === "undefined" ? "en" : navigator.language || "en";
let zone: string | undefined;

export function setZone(name: string): void {
  if (name === zone) return;
  try {
    new Intl.DateTimeFormat(LOCALE, { timeZone: name });
    zone = name;
  } catch {
    zone = undefined;
  }
  formats.clear();
}
export const gatewayZone = (): string | undefined => zone;

const formats = new Map<string, Intl.DateTimeFormat>();
function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(LOCALE, { ...options, ...(zone ? { timeZone: zone } : {}) });
    formats.set(key, format);
  }
  return format;
}

const numbers = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits }));
const three = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });

/** As many digits as help: 1,234 · 21.4 · 0.012. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return numbers[digits]!.format(value);
}
const steadies = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
/** Always as many digits, so that a value that moves does not jump: 22.0, then 22.1. */
export const steady = (value: number, digits: number): string => (Number.isFinite(value) ? steadies[Math.max(0, Math.min(3, digits))]!.format(value) : "–");
export const integer = (value: number): string => numbers[0]!.format(value);
/** 3,912 as it stands, 1,234,567 as 1.23 M. */
export function short(value: number): string {
  if (Math.abs(value) < 100_000) return integer(value);
  const [size, sign] = value < 999_500 ? [1e3, "k"] : value < 999.5e6 ? [1e6, "M"] : [1e9, "G"];
  return `${three.format(value / size)}\u202f${sign}`;
}

const UNITS: Record<string, string> = { Cel: "°C", "%RH": "%", "%EL": "%", "/": "", lx: "lx", m3: "m³", "m3/h": "m³/h", "1/s": "/s", "ug/m3": "µg/m³", degF: "°F" };
export const unit = (code: string | undefined): string => (code === undefined ? "" : (UNITS[code] ?? code));

const BYTES = ["B", "kB", "MB", "GB", "TB"];
export function bytes(count: number): string {
  let size = count;
  let step = 0;
  while (size >= 1000 && step < BYTES.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${numbers[size < 10 && step > 0 ? 1 : 0]!.format(size)}\u202f${BYTES[step]}`;
}

export const millis = (time: string | undefined): number => (time === undefined ? NaN : Date.parse(time));

export const clock = (ms: number): string => dateFormat({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
export const minute = (ms: number): string => dateFormat({ hour: "2-digit", minute: "2-digit" }).format(ms);
export const day = (ms: number): string => dateFormat({ day: "numeric", month: "short" }).format(ms);
export const month = (ms: number): string => dateFormat({ month: "short", year: "numeric" }).format(ms);
export const dateTime = (ms: number): string =>
  dateFormat({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
export const dateMinute = (ms: number): string => dateFormat({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(ms);
/** Both ends of a stretch of time, what they share said once. */
export const timeRange = (from: number, to: number): string =>
  dateFormat({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).formatRange(from, to);
/** The calendar day in the gateway's zone, to compare two times by. */
export const dayKey = (ms: number): string => dateFormat({ year: "numeric", month: "2-digit", day: "2-digit" }).format(ms);

/** A time as short as it stays clear: the clock for today, the day with it for earlier. */
export const shortTime = (ms: number, nowMs: number): string => (dayKey(ms) === dayKey(nowMs) ? clock(ms) : dateMinute(ms));

let language = "en";
let relative = new Intl.RelativeTimeFormat(language, { style: "short", numeric: "auto" });
/** Words such as "ago" are those of the page's language. */
export function setWords(name: string): void {
  language = name;
  // "12s ago" is clear and short; French and German would say "-12 s" and "vor 12 m".
  relative = new Intl.RelativeTimeFormat(name, { style: name === "en" ? "narrow" : "short", numeric: "auto" });
}

type Step = [limit: number, size: number, unit: "second" | "minute" | "hour" | "day"];
const STEPS: Step[] = [
  [90, 1, "second"],
  [5400, 60, "minute"],
  [129_600, 3600, "hour"],
  [Infinity, 86_400, "day"],
];

export function ago(ms: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1000));
  const [, size, name] = STEPS.find(([limit]) => seconds < limit)!;
  return relative.format(-Math.round(seconds / size), name);
}

/** 42 s · 5 min · 3 h · 12 d, in the words of the page's language. */
export function duration(seconds: number): string {
  const [, size, name] = STEPS.find(([limit]) => Math.abs(seconds) < limit)!;
  return new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(Math.round(seconds / size));
}

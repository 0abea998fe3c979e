// The API of the gateway as the page sees it: the types of its answers, and one function a path.
// A failed call throws ApiError with the title and detail of the problem document.

import { fitsPath } from "./router";

export type Severity = "info" | "warning" | "critical";
export type MetricKind = "gauge" | "counter" | "state";
export type DeviceState = "ok" | "alert" | "unheard";
export type Role = "view" | "operate";

export interface Session {
  login_required: boolean;
  role: Role | null;
  locales: string[];
  gateway: string;
  version: string;
  timezone: string;
}
export interface Value {
  value: number;
  unit?: string;
  time: string;
  kind: MetricKind;
  raised?: Severity;
}
export interface Device {
  name: string;
  zone?: string;
  protocol?: string;
  named: boolean;
  address?: string;
  last_heard?: string;
  state: DeviceState;
  severity?: Severity;
  battery?: number;
  link?: { rssi?: number; snr?: number; linkquality?: number };
  metrics: Record<string, Value>;
}
export interface Message {
  time: string;
  protocol: string;
  topic?: string;
  codec?: string;
  payload_hex: string;
  payload_text?: string;
  metrics: Record<string, number>;
  error?: string;
}
export interface DeviceDetail extends Device {
  rules: { name: string; text: string }[];
  alerts: Alert[];
  messages: Message[];
  ledger: { received: number; refused: Record<string, number> };
}
export interface Alert {
  id: string;
  alert: string;
  device?: string;
  zone?: string;
  metric?: string;
  kind: "threshold" | "rate" | "anomaly" | "silent";
  severity: Severity;
  state: "raised" | "cleared";
  time: string;
  cleared?: string;
  value?: number;
  limit?: number;
  /** The lowest and highest normal value. */
  expected?: [number, number];
  message: string;
  acknowledged?: { until: string };
  can_acknowledge: boolean;
  actions?: { time: string; adapter: string; target: string; payload?: string; outcome: "done" | "failed"; error?: string }[];
}
export interface Flow {
  in: number;
  published: number;
  queued: number;
  open: number;
  dropped: Record<string, number>;
}
export interface Ledger extends Flow {
  balanced: boolean;
  adapters?: Record<string, Flow>;
}
export interface Adapter {
  state: "up" | "starting" | "down";
  since: string;
  restarts: number;
  last_error?: string;
  figures?: Record<string, number>;
}
export interface Sink {
  delivered: number;
  queued: number;
  dropped: number;
  bytes?: number;
  lag_s?: number;
  last_error?: string;
}
export interface Overview {
  gateway: { id: string; version: string; time: string; uptime: number; timezone: string; time_quality: string };
  well: boolean;
  problems: string[];
  counts: { devices: number; heard: number; alerting: number; unnamed: number; alerts: Record<Severity, number> };
  adapters: Record<string, Adapter>;
  sinks: Record<string, Sink>;
  upstream: null | { url: string; connected: boolean; published: number; last_error?: string };
  queue: { messages: number; bytes: number };
  ledger: Ledger;
  memory: { resident: number };
  disk?: { bytes: number; per_day: number };
  history: null | { from?: string; bytes: number; readings: boolean };
  zones: string[];
}
export interface Point {
  start: string;
  end: string;
  avg: number;
  min: number;
  max: number;
  std: number;
  count: number;
}
export interface History {
  device: string;
  metric: string;
  unit?: string;
  kind: MetricKind;
  from: string;
  to: string;
  step: number;
  source: "recent" | "windows" | "hours" | "days";
  points: Point[];
}
export interface Sparklines {
  from: string;
  to: string;
  step: number;
  sparklines: Record<string, (number | null)[]>;
  metrics?: Record<string, string>;
}
export interface Finding {
  severity: "error" | "warning";
  file: string;
  line: number;
  column: number;
  key: string;
  message: string;
}
export interface Decoded {
  data: unknown;
  errors: string[];
  warnings: string[];
  metrics: Record<string, number>;
}
/** A part of a device that the stream sends; it is merged into what is known. */
export interface DeviceDelta {
  name: string;
  last_heard: string;
  state: DeviceState;
  severity?: Severity;
  metrics: Record<string, { value: number; time: string; raised?: Severity }>;
}
interface Problem {
  title?: string;
  detail?: string;
}

export const BASE = "/api/v1";

export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly retryAfter: number | undefined) {
    super(message);
  }
}

type Query = Record<string, string | number | undefined>;

function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== "") search.append(key, String(value));
  const text = search.toString();
  return BASE + path + (text ? `?${text}` : "");
}

async function call<T>(url: string, init: RequestInit = {}): Promise<T> {
  const answer = await fetch(url, { credentials: "same-origin", ...init });
  if (!answer.ok) {
    const problem: Problem = await answer.json().catch(() => ({}));
    const retry = Number(answer.headers.get("Retry-After"));
    throw new ApiError(answer.status, problem.detail ?? problem.title ?? answer.statusText, retry > 0 ? retry : undefined);
  }
  return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T);
}

const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> => call<T>(address(path, query), signal ? { signal } : {});
const post = <T>(path: string, body: unknown): Promise<T> =>
  call<T>(BASE + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });

export const api = {
  session: () => get<Session>("/session"),
  login: (password: string) => post<{ role: Role }>("/login", { password }),
  logout: () => post<void>("/logout", {}),
  overview: () => get<Overview>("/overview"),
  devices: (query: { after?: string; limit?: number; named?: string }) =>
    get<{ devices: Device[]; total: number; next?: string }>("/devices", query),
  device: (name: string) =>
    fitsPath(name) ? get<DeviceDetail>(`/devices/${encodeURIComponent(name)}`) : get<DeviceDetail>("/device", { name }),
  history: (name: string, query: { metric: string; from: string; to: string; points: number }, signal?: AbortSignal) =>
    fitsPath(name)
      ? get<History>(`/devices/${encodeURIComponent(name)}/history`, query, signal)
      : get<History>("/device/history", { name, ...query }, signal),
  sparklines: (names: string[]) =>
    call<Sparklines>(`${BASE}/sparklines?${names.map((name) => `device=${encodeURIComponent(name)}`).join("&")}`),
  alerts: (query: { state: "open" | "past" | "all"; device?: string; from?: string; to?: string; limit?: number; after?: string }) =>
    get<{ alerts: Alert[]; next?: string }>("/alerts", query),
  acknowledge: (body: { device: string; metric?: string; for: string }) =>
    post<{ acknowledged: Alert[]; others: Alert[] }>("/alerts/acknowledge", body),
  config: () => get<{ file: string; toml: string; findings: Finding[] }>("/config"),
  check: (toml: string) =>
    call<{ findings: Finding[] }>(`${BASE}/config/check`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: toml }),
  codecs: () => get<{ codecs: string[] }>("/codecs"),
  decode: (body: { codec: string; port?: number; bytes: string }) => post<Decoded>("/decode", body),
};

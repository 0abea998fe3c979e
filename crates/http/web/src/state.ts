// What the page knows of the gateway: session, overview, devices, open alerts, and whether the connection is alive.
import { api, ApiError, type Alert, type Device, type Overview, type Session } from "./api";
import { NO_DEVICES, putDevices, mergeOpen, type Devices } from "./merge";
import { createStore } from "./store";
import { setZone } from "./format";

export type Connection = "connecting" | "live" | "lost";

export const session = createStore<Session | null>(null);
export const overview = createStore<Overview | null>(null);
export const devices = createStore<Devices>(NO_DEVICES);
export const devicesLoaded = createStore(false);
export const openAlerts = createStore<Alert[]>([]);
export const connection = createStore<Connection>("connecting");
/** The newest alert that came by the stream, for the announcement to screen readers. */
export const newestAlert = createStore<Alert | null>(null);
/** Gateway's clock minus this machine's, in ms. */
let clockOffset = 0;
/** The gateway's time now, in ms, moving every few seconds: what "12 s ago" is counted from. */
export const now = createStore(Date.now());

export function tick(): void {
  now.set(Date.now() + clockOffset);
}

export function setOverview(next: Overview): void {
  clockOffset = Date.parse(next.gateway.time) - Date.now();
  setZone(next.gateway.timezone);
  overview.set(next);
  if (now.get() < Date.now() + clockOffset - 5000) tick();
}

export const canOperate = (): boolean => session.get()?.role === "operate";

export async function loadSession(): Promise<Session> {
  const loaded = await api.session();
  setZone(loaded.timezone);
  session.set(loaded);
  return loaded;
}

/** Whether a failure says that the login has ended; then the page shows the login. */
export function endsLogin(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status !== 401) return false;
  session.set((known) => (known ? { ...known, login_required: true, role: null } : known));
  return true;
}

const PAGE = 1000;

async function loadDevices(): Promise<void> {
  const all: Device[] = [];
  let after: string | undefined;
  do {
    const answer: { devices: Device[]; next?: string } = await api.devices({ limit: PAGE, ...(after ? { after } : {}) });
    all.push(...answer.devices);
    after = answer.next;
    // The first thousand is shown while the others come.
    if (after && !devicesLoaded.get()) devices.set((known) => putDevices(known, answer.devices));
  } while (after);
  devices.set((known) => putDevices({ byName: new Map(), version: known.version }, all));
  devicesLoaded.set(true);
}

export async function loadOpenAlerts(): Promise<void> {
  const { alerts } = await api.alerts({ state: "open", limit: 1000 });
  openAlerts.set((known) => mergeOpen(known, alerts));
}

let loading: Promise<void> | null = null;

/** Fetches everything again: at the start, and when the stream cannot resume. Asked for twice at once, it is done once. */
export function loadAll(): Promise<void> {
  loading ??= fetchAll().finally(() => {
    loading = null;
  });
  return loading;
}

async function fetchAll(): Promise<void> {
  try {
    setOverview(await api.overview());
    await Promise.all([loadDevices(), loadOpenAlerts()]);
  } catch (error) {
    if (!endsLogin(error)) connection.set("lost");
  }
}

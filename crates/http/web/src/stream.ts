// The live stream: values, alerts and the overview as they change. The browser resumes by Last-Event-ID itself;
// where the gateway cannot resume it sends "reset", and everything is fetched again.
import { api, BASE, type Alert, type DeviceDelta, type Overview } from "./api";
import { mergeAlert, mergeDeltas, putDevices } from "./merge";
import { connection, devices, devicesLoaded, loadAll, loadSession, newestAlert, openAlerts, setOverview, endsLogin } from "./state";

let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
const fetching = new Set<string>();
type DeltaListener = (deltas: DeviceDelta[]) => void;
const listeners = new Set<DeltaListener>();

/** Calls the listener with every batch of values, until the returned function is called. */
export function onDeltas(listener: DeltaListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function receive<T>(event: Event, use: (data: T) => void): void {
  if (!(event instanceof MessageEvent)) return;
  connection.set("live");
  use(JSON.parse(event.data) as T);
}

/** New names are fetched, a few at a time: a burst of them is a reload. */
async function fetchUnknown(names: string[]): Promise<void> {
  const wanted = names.filter((name) => !fetching.has(name));
  if (wanted.length > 20) return loadAll();
  for (const name of wanted) {
    fetching.add(name);
    try {
      const device = await api.device(name);
      devices.set((known) => putDevices(known, [device]));
    } catch (error) {
      endsLogin(error);
    } finally {
      fetching.delete(name);
    }
  }
}

function applyDeltas(deltas: DeviceDelta[]): void {
  const merged = mergeDeltas(devices.get(), deltas);
  devices.set(merged.devices);
  if (merged.unknown.length > 0) void fetchUnknown(merged.unknown);
  for (const listener of listeners) listener(deltas);
}

function applyAlert(alert: Alert): void {
  openAlerts.set((open) => mergeAlert(open, alert));
  newestAlert.set(alert);
}

export function openStream(): void {
  closeStream();
  source = new EventSource(`${BASE}/stream`);
  let hellos = 0;
  source.addEventListener("hello", (event) =>
    receive(event, () => {
      hellos += 1;
      // A stream that came back without an id to resume from has missed what was sent meanwhile; and a first load may have failed.
      if (!devicesLoaded.get() || (hellos > 1 && event.lastEventId === "")) void loadAll();
    }),
  );
  source.addEventListener("devices", (event) => receive<{ devices: DeviceDelta[] }>(event, (data) => applyDeltas(data.devices)));
  source.addEventListener("alert", (event) => receive<Alert>(event, applyAlert));
  source.addEventListener("overview", (event) => receive<Overview>(event, setOverview));
  source.addEventListener("reset", (event) => receive(event, () => void loadAll()));
  source.onerror = () => {
    connection.set("lost");
    // A refused stream is closed for good by the browser: it is opened again here, after a look at the session.
    if (source?.readyState === EventSource.CLOSED) {
      clearTimeout(retry);
      retry = setTimeout(() => void reopen(), 3000);
    }
  };
}

async function reopen(): Promise<void> {
  try {
    const known = await loadSession();
    if (known.login_required && known.role === null) return;
    await loadAll();
  } catch {
    connection.set("lost");
  }
  openStream();
}

export function closeStream(): void {
  clearTimeout(retry);
  source?.close();
  source = null;
}

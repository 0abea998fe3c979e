// Merges what the stream sends into what is known: parts of devices, and alerts. Pure: old values are never changed.
import type { Alert, Device, DeviceDelta, Value } from "./api";

export interface Devices {
  byName: ReadonlyMap<string, Device>;
  /** Grows with every change, so that a list knows when to look again. */
  version: number;
}

export const NO_DEVICES: Devices = { byName: new Map(), version: 0 };

function mergeDevice(device: Device, delta: DeviceDelta): Device {
  const metrics: Record<string, Value> = { ...device.metrics };
  for (const [metric, part] of Object.entries(delta.metrics)) {
    const known = metrics[metric];
    if (known && known.time > part.time) continue;
    const { raised: _, ...rest } = known ?? { kind: "gauge" as const };
    metrics[metric] = { ...rest, ...part };
  }
  const { severity: _, ...rest } = device;
  return {
    ...rest,
    last_heard: delta.last_heard,
    state: delta.state,
    ...(delta.severity ? { severity: delta.severity } : {}),
    metrics,
  };
}

/** The devices with the deltas in them, and the names that are not known yet. */
export function mergeDeltas(devices: Devices, deltas: readonly DeviceDelta[]): { devices: Devices; unknown: string[] } {
  const unknown: string[] = [];
  const byName = new Map(devices.byName);
  for (const delta of deltas) {
    const known = byName.get(delta.name);
    if (known) byName.set(delta.name, mergeDevice(known, delta));
    else unknown.push(delta.name);
  }
  return { devices: { byName, version: devices.version + 1 }, unknown };
}

const collator = new Intl.Collator("en", { numeric: true });

/** The devices with more in them, in the order of their names: lists rely on it. */
export function putDevices(devices: Devices, more: readonly Device[]): Devices {
  const byName = new Map(devices.byName);
  const before = byName.size;
  for (const device of more) byName.set(device.name, device);
  if (byName.size === before) return { byName, version: devices.version + 1 };
  const sorted = [...byName].sort((a, b) => collator.compare(a[0], b[0]));
  return { byName: new Map(sorted), version: devices.version + 1 };
}

const RANK = { critical: 0, warning: 1, info: 2 } as const;

/**
 * Open alerts with a new state of one of them in: the worst first, then the newest. A cleared one leaves, but for one that was
 * acknowledged, which clears it: who did so sees it until the page is loaded again.
 */
export function mergeAlert(open: readonly Alert[], alert: Alert): Alert[] {
  const others = open.filter((other) => other.id !== alert.id);
  return sortAlerts(alert.state === "raised" || alert.acknowledged ? [...others, alert] : others);
}

/** What the gateway says is open, and what was acknowledged here. */
export function mergeOpen(known: readonly Alert[], open: readonly Alert[]): Alert[] {
  const ids = new Set(open.map((alert) => alert.id));
  return sortAlerts([...open, ...known.filter((alert) => alert.acknowledged && !ids.has(alert.id))]);
}

export function sortAlerts(alerts: readonly Alert[]): Alert[] {
  const rank = (alert: Alert): number => (alert.acknowledged ? 10 : 0) + RANK[alert.severity];
  return [...alerts].sort((a, b) => rank(a) - rank(b) || (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
}

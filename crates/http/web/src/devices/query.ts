// Search, filters and order of the list of devices. Pure.
import type { Device } from "../api";

export interface Filter {
  search: string;
  zone: string;
  protocol: string;
  state: string;
}
export type Column = "name" | "heard" | "battery";
export interface Order {
  column: Column;
  down: boolean;
}

export const NO_FILTER: Filter = { search: "", zone: "", protocol: "", state: "" };
export const isFiltered = (filter: Filter): boolean => Object.values(filter).some((value) => value !== "");

/** "floor-1" finds the zone and all below it. */
const inZone = (zone: string | undefined, wanted: string): boolean =>
  wanted === "" || (zone !== undefined && (zone === wanted || zone.startsWith(`${wanted}/`)));

export function matches(device: Device, filter: Filter, words: readonly string[]): boolean {
  if (filter.state === "unnamed" ? device.named : filter.state !== "" && device.state !== filter.state) return false;
  if (filter.protocol !== "" && device.protocol !== filter.protocol) return false;
  if (!inZone(device.zone, filter.zone)) return false;
  if (words.length === 0) return true;
  const text = `${device.name} ${device.zone ?? ""} ${device.address ?? ""} ${device.protocol ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

const RANK = { critical: 0, warning: 1, info: 2 } as const;
/** Devices with an alert come first, the worst on top; then the others by name. */
const urgency = (device: Device): number => (device.state === "alert" ? RANK[device.severity ?? "info"] : 3);

/** Sorting is stable and the devices come in the order of their names, so that no name is compared here: 5,000 take a few ms. */
function compare(a: Device, b: Device, order: Order): number {
  if (order.column === "heard") {
    const [one, other] = [a.last_heard ?? "", b.last_heard ?? ""];
    return one < other ? 1 : one > other ? -1 : 0;
  }
  if (order.column === "battery") return (a.battery ?? 101) - (b.battery ?? 101);
  return urgency(a) - urgency(b);
}

/** The devices that match. By name: those with an alert first; by time heard: the newest first; by battery: the emptiest first. */
export function select(devices: Iterable<Device>, filter: Filter, order: Order): Device[] {
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Device[] = [];
  for (const device of devices) if (matches(device, filter, words)) found.push(device);
  if (order.column === "name" && order.down) return found.reverse();
  const sign = order.down ? -1 : 1;
  return found.sort((a, b) => sign * compare(a, b, order));
}

export const protocols = (devices: Iterable<Device>): string[] =>
  [...new Set([...devices].flatMap((device) => (device.protocol ? [device.protocol] : [])))].sort();

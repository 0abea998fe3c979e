// The building as a section: zones "floor-2/lab" are cells on the floor "floor-2", the highest floor on top. Pure.
import type { Device, Severity } from "../api";

export interface Cell {
  zone: string;
  label: string;
  devices: number;
  unheard: number;
  severity?: Severity;
  /** Average of the temperatures heard there. */
  temperature?: number;
}
export interface Floor {
  name: string;
  cells: Cell[];
}

const WORST: Record<Severity, number> = { info: 1, warning: 2, critical: 3 };

/** Negative for floors below the ground, so that they stand at the bottom. */
function level(name: string): number {
  if (/basement|cellar|keller|sous-sol|underground/i.test(name)) return -1;
  if (/outdoor|outside|garden|yard|parking/i.test(name)) return -2;
  if (/roof|attic|dach|toit/i.test(name)) return 1e6;
  const digits = /-?\d+/.exec(name.replace(/^(floor|level|etage|étage|og|f|l)[-_ ]?(?=\d)/i, ""));
  return digits ? Number(digits[0]) : 0;
}

export function floors(zones: readonly string[], devices: Iterable<Device>): Floor[] {
  const cells = new Map<string, Cell & { sum: number; temperatures: number }>();
  const cell = (zone: string) => {
    let known = cells.get(zone);
    if (!known) {
      const label = zone.includes("/") ? zone.slice(zone.indexOf("/") + 1) : zone;
      known = { zone, label, devices: 0, unheard: 0, sum: 0, temperatures: 0 };
      cells.set(zone, known);
    }
    return known;
  };
  for (const zone of zones) cell(zone);
  for (const device of devices) {
    if (!device.zone) continue;
    const at = cell(device.zone);
    at.devices += 1;
    if (device.state === "unheard") at.unheard += 1;
    if (device.state === "alert" && device.severity && WORST[device.severity] > (at.severity ? WORST[at.severity] : 0)) at.severity = device.severity;
    const temperature = device.metrics["temperature"];
    if (temperature) {
      at.sum += temperature.value;
      at.temperatures += 1;
    }
  }
  const byFloor = new Map<string, Cell[]>();
  for (const { sum, temperatures, ...rest } of cells.values()) {
    const floor = rest.zone.includes("/") ? rest.zone.slice(0, rest.zone.indexOf("/")) : "";
    const row = byFloor.get(floor) ?? [];
    row.push(temperatures > 0 ? { ...rest, temperature: sum / temperatures } : rest);
    byFloor.set(floor, row);
  }
  return [...byFloor]
    .map(([name, row]) => ({ name, cells: row.sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true })) }))
    .sort((a, b) => (a.name === "" ? 1 : b.name === "" ? -1 : level(b.name) - level(a.name) || a.name.localeCompare(b.name)));
}

// The stretch of time that the chart shows: one that ends now and moves, or a fixed one. It stands in the address. Pure.

export const RANGES = { "10m": 600, "1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 } as const;
export type RangeName = keyof typeof RANGES | "all";
export type View = { range: RangeName } | { from: number; to: number };

export const RANGE_NAMES: RangeName[] = ["10m", "1h", "24h", "7d", "30d", "all"];
const SHORTEST = 60_000;
const LONGEST = 20 * 365 * 86_400_000;

const isRange = (name: string | null): name is RangeName => name !== null && (RANGE_NAMES as string[]).includes(name);

export function readView(query: URLSearchParams, usual: RangeName = "24h"): View {
  const from = Date.parse(query.get("from") ?? "");
  const to = Date.parse(query.get("to") ?? "");
  if (Number.isFinite(from) && Number.isFinite(to) && to > from) return { from, to };
  const range = query.get("range");
  return { range: isRange(range) ? range : usual };
}

export function writeView(view: View): Record<string, string | undefined> {
  if ("range" in view) return { range: view.range, from: undefined, to: undefined };
  return { range: undefined, from: new Date(view.from).toISOString(), to: new Date(view.to).toISOString() };
}

/** The view in ms; "all" begins where the history does. */
export function span(view: View, now: number, oldest: number | undefined): { from: number; to: number } {
  if (!("range" in view)) return view;
  if (view.range !== "all") return { from: now - RANGES[view.range] * 1000, to: now };
  return { from: oldest !== undefined && oldest < now ? oldest : now - RANGES["30d"] * 1000, to: now };
}

/** Half or twice the time around a point of it (0 left, 1 right). */
export function zoomBy(current: { from: number; to: number }, factor: number, now: number, at = 0.5): View {
  const length = current.to - current.from;
  const wanted = Math.min(LONGEST, Math.max(SHORTEST, length * factor));
  const pivot = current.from + length * at;
  return bound(pivot - wanted * at, pivot + wanted * (1 - at), now);
}

export function panBy(current: { from: number; to: number }, share: number, now: number): View {
  const move = (current.to - current.from) * share;
  return bound(current.from + move, current.to + move, now);
}

/** A stretch of the chart that was chosen by dragging. */
export function between(from: number, to: number): View {
  const [a, b] = from < to ? [from, to] : [to, from];
  const more = Math.max(0, SHORTEST - (b - a)) / 2;
  return { from: Math.round(a - more), to: Math.round(b + more) };
}

function bound(from: number, to: number, now: number): View {
  const late = Math.max(0, to - now);
  return { from: Math.round(from - late), to: Math.round(to - late) };
}

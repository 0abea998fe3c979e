// What the API's points are for the chart: columns of one length, with a row of nulls where nothing was heard. Pure.
import type { Alert, History, MetricKind, Point } from "../api";

export interface Columns {
  /** Seconds since the epoch: what uPlot counts in. */
  x: number[];
  min: (number | null)[];
  max: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
  avg: (number | null)[];
  /** The point of each row; none in a gap. */
  points: (Point | null)[];
  gaps: [from: number, to: number][];
}

const middle = (point: Point): number => (Date.parse(point.start) + Date.parse(point.end)) / 2000;

/** Above this many seconds between two points nothing was heard between them. */
export function gapLimit(points: readonly Point[], stepMs: number): number {
  const steps: number[] = [];
  for (let at = 1; at < points.length; at += 1) steps.push(middle(points[at]!) - middle(points[at - 1]!));
  steps.sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  const single = points.every((point) => point.start === point.end);
  // Single readings come as they like: five times the usual distance. Windows stand side by side, but for a device that speaks
  // more seldom than a window lasts; a few points do not tell what is usual.
  if (single) return Math.max(5 * usual, 30);
  return Math.max(steps.length < 4 ? 0 : 1.5 * usual, (1.5 * stepMs) / 1000);
}

/** `until` is where the chart ends, in seconds: what was not heard before it is a gap too. */
export function columns(history: Pick<History, "points" | "step"> & { kind?: MetricKind }, until = 0): Columns {
  const out: Columns = { x: [], min: [], max: [], low: [], high: [], avg: [], points: [], gaps: [] };
  // A state is drawn in steps, from the start of its window on; all else in the middle of it.
  const place = history.kind === "state" ? (point: Point) => Date.parse(point.start) / 1000 : middle;
  const limit = gapLimit(history.points, history.step);
  let last: number | undefined;
  for (const point of history.points) {
    const x = place(point);
    if (last !== undefined && x <= last) continue;
    if (last !== undefined && x - last > limit) {
      out.gaps.push([last, x]);
      out.x.push((last + x) / 2);
      for (const column of [out.min, out.max, out.low, out.high, out.avg, out.points]) column.push(null);
    }
    out.x.push(x);
    out.min.push(point.min);
    out.max.push(point.max);
    out.avg.push(point.avg);
    out.points.push(point);
    // The band of one deviation stays within what was really seen.
    // A state has none: the deviation of 0 and 1 tells nothing.
    out.low.push(history.kind === "state" ? null : Math.max(point.min, point.avg - point.std));
    out.high.push(history.kind === "state" ? null : Math.min(point.max, point.avg + point.std));
    last = x;
  }
  // The newest window comes a while after it has ended: only a longer silence is one.
  if (last !== undefined && until - last > 2 * limit) out.gaps.push([last + limit / 2, until]);
  return out;
}

export interface Summary {
  last: number;
  min: number;
  max: number;
  avg: number;
  count: number;
}

/** Figures of everything shown, each point weighted by its readings. */
export function summary(points: readonly Point[]): Summary | null {
  const final = points.at(-1);
  if (!final) return null;
  let [min, max, sum, count] = [Infinity, -Infinity, 0, 0];
  for (const point of points) {
    min = Math.min(min, point.min);
    max = Math.max(max, point.max);
    sum += point.avg * point.count;
    count += point.count;
  }
  return { last: final.avg, min, max, avg: sum / Math.max(1, count), count };
}

/** Alerts on the time axis, in lanes, so that those at the same time do not hide each other. */
export interface Mark {
  alert: Alert;
  from: number;
  to: number;
  lane: number;
}

export function marks(alerts: readonly Alert[], from: number, to: number, most = 3): Mark[] {
  const ends: number[] = [];
  const found: Mark[] = [];
  for (const alert of [...alerts].sort((a, b) => Date.parse(a.time) - Date.parse(b.time))) {
    const start = Date.parse(alert.time) / 1000;
    const end = alert.cleared ? Date.parse(alert.cleared) / 1000 : to;
    if (end < from || start > to) continue;
    let lane = ends.findIndex((busy) => busy <= start);
    if (lane < 0) lane = Math.min(ends.length, most - 1);
    ends[lane] = Math.max(ends[lane] ?? 0, end);
    found.push({ alert, from: Math.max(start, from), to: Math.min(end, to), lane });
  }
  return found;
}

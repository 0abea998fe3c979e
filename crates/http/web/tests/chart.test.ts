// Chart: columns, gaps, figures, marks of alerts, and the choice of time.
import { test } from "node:test";
import assert from "node:assert/strict";
import { columns, marks, summary } from "../src/device/chart-data";
import { between, panBy, readView, span, writeView, zoomBy } from "../src/device/zoom";
import { timeLabels } from "../src/device/chart-options";
import { appendReading } from "../src/device/use-history";
import { setZone } from "../src/format";
import type { Alert, History, Point } from "../src/api";

const T = Date.parse("2026-01-01T00:00:00.000Z");
const iso = (minutes: number): string => new Date(T + minutes * 60_000).toISOString();
const windowAt = (minutes: number, avg = 20): Point => ({ start: iso(minutes), end: iso(minutes + 5), avg, min: avg - 1, max: avg + 1, std: 3, count: 10 });
const single = (minutes: number, avg = 20): Point => ({ start: iso(minutes), end: iso(minutes), avg, min: avg, max: avg, std: 0, count: 1 });
const STEP = 300_000;

test("windows side by side have no gap; a missing one is a row of nulls", () => {
  assert.deepEqual(columns({ points: [windowAt(0), windowAt(5), windowAt(10)], step: STEP }).gaps, []);
  const drawn = columns({ points: [windowAt(0), windowAt(5), windowAt(20), windowAt(25)], step: STEP });
  assert.equal(drawn.gaps.length, 1);
  assert.deepEqual(drawn.avg, [20, 20, null, 20, 20]);
  assert.deepEqual(drawn.min, [19, 19, null, 19, 19]);
});

test("a state stands at the start of its window, for it is drawn in steps", () => {
  assert.equal(columns({ points: [windowAt(0)], step: STEP, kind: "state" }).x[0], T / 1000);
  assert.equal(columns({ points: [windowAt(0)], step: STEP, kind: "gauge" }).x[0], T / 1000 + 150);
});

test("every row knows its point, and a gap has none", () => {
  const { x, points } = columns({ points: [windowAt(0), windowAt(30)], step: STEP });
  assert.equal(points.length, x.length);
  assert.deepEqual(points.map((point) => point?.start ?? null), [iso(0), null, iso(30)]);
});

test("silence up to the end of the chart is a gap, the wait for the newest window is none", () => {
  const points = [windowAt(0), windowAt(5)];
  assert.deepEqual(columns({ points, step: STEP }, T / 1000 + 900).gaps, []);
  assert.equal(columns({ points, step: STEP }, T / 1000 + 3600).gaps.length, 1);
});

test("the band of a deviation stays between min and max", () => {
  const drawn = columns({ points: [windowAt(0)], step: STEP });
  assert.deepEqual([drawn.low[0], drawn.high[0]], [19, 21]);
});

test("single readings: usual jitter is no gap, silence is", () => {
  const times = [0, 1, 2.2, 3, 4.9, 6, 30, 31];
  assert.equal(columns({ points: times.map((time) => single(time)), step: 0 }).gaps.length, 1);
});

test("times only go forward, whatever the gateway sends", () => {
  const drawn = columns({ points: [windowAt(5), windowAt(5), windowAt(0), windowAt(10)], step: STEP });
  assert.deepEqual(drawn.x, [...drawn.x].sort((a, b) => a - b));
  assert.equal(drawn.x.length, 2);
});

test("the average is weighted by readings", () => {
  const all = summary([{ ...windowAt(0, 10), count: 1 }, { ...windowAt(5, 20), count: 3 }])!;
  assert.equal(all.avg, 17.5);
  assert.deepEqual([all.min, all.max, all.count, all.last], [9, 21, 4, 20]);
  assert.equal(summary([]), null);
});

test("alerts at the same time get lanes of their own, and an open one ends where the chart does", () => {
  const alert = (id: string, from: number, to?: number): Alert => ({ id, alert: "a", kind: "threshold", severity: "warning", state: to === undefined ? "raised" : "cleared", time: iso(from), ...(to === undefined ? {} : { cleared: iso(to) }), message: "", can_acknowledge: false });
  const [from, to] = [T / 1000, T / 1000 + 3600];
  const found = marks([alert("b", 10), alert("a", 0, 20), alert("c", 25, 30), alert("far", 200, 210)], from, to);
  assert.deepEqual(found.map((mark) => [mark.alert.id, mark.lane]), [["a", 0], ["b", 1], ["c", 0]]);
  assert.equal(found[1]!.to, to);
});

test("the view is read from the address and written to it", () => {
  assert.deepEqual(readView(new URLSearchParams("range=7d")), { range: "7d" });
  assert.deepEqual(readView(new URLSearchParams("range=no")), { range: "24h" });
  const fixed = { from: T, to: T + 60_000 };
  assert.deepEqual(readView(new URLSearchParams(writeView(fixed) as Record<string, string>)), fixed);
  assert.deepEqual(readView(new URLSearchParams(`from=${iso(5)}&to=${iso(1)}`)), { range: "24h" });
});

test("all begins where the history does", () => {
  assert.deepEqual(span({ range: "all" }, T, T - 5000), { from: T - 5000, to: T });
  assert.deepEqual(span({ range: "10m" }, T, undefined), { from: T - 600_000, to: T });
});

test("zooming keeps the point, and nothing goes past now or under a minute", () => {
  const hour = { from: T - 3_600_000, to: T };
  assert.deepEqual(zoomBy(hour, 0.5, T, 0.5), { from: T - 2_700_000, to: T - 900_000 });
  assert.deepEqual(zoomBy(hour, 2, T), { from: T - 7_200_000, to: T });
  assert.deepEqual(panBy(hour, 0.5, T), hour);
  const least = zoomBy(hour, 1e-9, T) as { from: number; to: number };
  assert.equal(least.to - least.from, 60_000);
  const dragged = between(T + 20, T) as { from: number; to: number };
  assert.equal(dragged.to - dragged.from, 60_000);
});

test("labels of the axis are in the gateway's zone and name a day once", () => {
  setZone("Asia/Kolkata");
  const day = 86_400;
  const start = Date.parse("2026-01-01T18:00:00Z") / 1000;
  const labels = timeLabels([start, start + 1800, start + 3600], day);
  assert.match(labels[0]!, /11:30/);
  assert.match(labels[1]!, /\n/);
  assert.doesNotMatch(labels[2]!, /\n/);
});

test("a value of the stream goes to the end of single readings only", () => {
  const history: History = { device: "a", metric: "temperature", kind: "gauge", from: iso(0), to: iso(10), step: 0, source: "recent", points: [single(1)] };
  const delta = { name: "a", last_heard: iso(2), state: "ok" as const, metrics: { temperature: { value: 22, time: iso(2) } } };
  assert.equal(appendReading(history, delta).points.length, 2);
  assert.equal(appendReading(appendReading(history, delta), delta).points.length, 2);
  assert.equal(appendReading({ ...history, source: "windows" }, delta).points.length, 1);
});

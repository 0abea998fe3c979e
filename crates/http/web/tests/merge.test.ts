// Merging what the stream sends into what is known.
import { test } from "node:test";
import assert from "node:assert/strict";
import { mergeAlert, mergeDeltas, mergeOpen, NO_DEVICES, putDevices } from "../src/merge";
import type { Alert, Device, DeviceDelta } from "../src/api";

const device = (name: string): Device => ({ name, named: true, state: "ok", zone: "floor-1/a", metrics: { temperature: { value: 20, unit: "Cel", kind: "gauge", time: "2026-01-01T00:00:00.000Z" } } });
const delta = (name: string, more: Partial<DeviceDelta> = {}): DeviceDelta => ({ name, last_heard: "2026-01-01T00:01:00.000Z", state: "ok", metrics: { temperature: { value: 21, time: "2026-01-01T00:01:00.000Z" } }, ...more });
const alert = (id: string, more: Partial<Alert> = {}): Alert => ({ id, alert: "too-hot", kind: "threshold", severity: "warning", state: "raised", time: "2026-01-01T00:00:00.000Z", message: "hot", can_acknowledge: false, ...more });

test("a delta keeps zone, unit and kind, and moves value and time", () => {
  const { devices, unknown } = mergeDeltas(putDevices(NO_DEVICES, [device("a")]), [delta("a")]);
  const merged = devices.byName.get("a")!;
  assert.equal(merged.zone, "floor-1/a");
  assert.deepEqual(merged.metrics["temperature"], { value: 21, unit: "Cel", kind: "gauge", time: "2026-01-01T00:01:00.000Z" });
  assert.equal(merged.last_heard, "2026-01-01T00:01:00.000Z");
  assert.deepEqual(unknown, []);
});

test("an unknown name is reported and not invented", () => {
  const { devices, unknown } = mergeDeltas(NO_DEVICES, [delta("new")]);
  assert.deepEqual(unknown, ["new"]);
  assert.equal(devices.byName.size, 0);
});

test("an older value does not replace a newer one", () => {
  const before = putDevices(NO_DEVICES, [device("a")]);
  const old = delta("a", { metrics: { temperature: { value: 5, time: "2025-12-31T00:00:00.000Z" } } });
  assert.equal(mergeDeltas(before, [old]).devices.byName.get("a")!.metrics["temperature"]!.value, 20);
});

test("severity and raised go when the alert has ended", () => {
  let devices = putDevices(NO_DEVICES, [device("a")]);
  const hot = delta("a", { state: "alert", severity: "critical", metrics: { temperature: { value: 41, time: "2026-01-01T00:02:00.000Z", raised: "critical" } } });
  devices = mergeDeltas(devices, [hot]).devices;
  assert.equal(devices.byName.get("a")!.severity, "critical");
  devices = mergeDeltas(devices, [delta("a", { metrics: { temperature: { value: 22, time: "2026-01-01T00:03:00.000Z" } } })]).devices;
  assert.equal(devices.byName.get("a")!.severity, undefined);
  assert.equal(devices.byName.get("a")!.metrics["temperature"]!.raised, undefined);
});

test("what was known before is not changed in place", () => {
  const before = putDevices(NO_DEVICES, [device("a")]);
  mergeDeltas(before, [delta("a")]);
  assert.equal(before.byName.get("a")!.metrics["temperature"]!.value, 20);
});

test("devices stand in the order of their names, numbers as numbers", () => {
  const names = [...putDevices(putDevices(NO_DEVICES, [device("b-10"), device("b-9")]), [device("a")]).byName.keys()];
  assert.deepEqual(names, ["a", "b-9", "b-10"]);
});

test("a raised alert comes in once, the worst first; a cleared one leaves; an acknowledged one sinks", () => {
  let open = mergeAlert([], alert("1"));
  open = mergeAlert(open, alert("2", { severity: "critical" }));
  open = mergeAlert(open, alert("2", { severity: "critical" }));
  assert.deepEqual(open.map((one) => one.id), ["2", "1"]);
  assert.deepEqual(mergeAlert(open, alert("2", { severity: "critical", acknowledged: { until: "x" } })).map((one) => one.id), ["1", "2"]);
  assert.deepEqual(mergeAlert(open, alert("2", { state: "cleared" })).map((one) => one.id), ["1"]);
});

test("an acknowledged alert is cleared, and stays to be seen until the page is loaded again", () => {
  const acknowledged = alert("2", { state: "cleared", acknowledged: { until: "x" } });
  const open = mergeAlert([alert("1"), alert("2")], acknowledged);
  assert.deepEqual(open.map((one) => one.id), ["1", "2"]);
  assert.deepEqual(mergeOpen(open, [alert("3")]).map((one) => one.id), ["3", "2"]);
});

// Verdict, ledger's picture, floors, list, snippets, hex, sparklines, addresses, formats.
import { test } from "node:test";
import assert from "node:assert/strict";
import type { Device, Overview } from "../src/api";
import { verdict } from "../src/verdict";
import { picture } from "../src/overview/ledger-picture";
import { floors } from "../src/overview/floors";
import { matches, NO_FILTER, select } from "../src/devices/query";
import { visibleRows } from "../src/devices/window";
import { missing } from "../src/devices/sparks";
import { sparkPath } from "../src/parts/sparkline";
import { quote, snippet, suggestName } from "../src/setup/snippet";
import { cleanHex, spaced } from "../src/setup/hex";
import { devicePath, parse } from "../src/router";
import { ago, bytes, number, short, setWords, setZone, unit } from "../src/format";
import { messageOf } from "../src/alerts/message";
import { createStore } from "../src/store";
import { bars } from "../src/devices/row";
import { orderedMetrics, rowMetrics } from "../src/metrics";

const base: Overview = {
  gateway: { id: "g", version: "1", time: "2026-01-01T00:00:00Z", uptime: 1, timezone: "UTC", time_quality: "synced" },
  well: true, problems: [], counts: { devices: 2, heard: 2, alerting: 0, unnamed: 0, alerts: { critical: 0, warning: 0, info: 0 } },
  adapters: {}, sinks: {}, upstream: null, queue: { messages: 0, bytes: 0 },
  ledger: { in: 10, published: 10, queued: 0, open: 0, dropped: {}, balanced: true }, memory: { resident: 1 }, history: null, zones: [],
};
const device = (name: string, more: Partial<Device> = {}): Device => ({ name, named: true, state: "ok", metrics: {}, ...more });

test("the verdict says the worst that holds", () => {
  assert.equal(verdict(base, "live").level, "ok");
  assert.equal(verdict(base, "lost").level, "lost");
  const alerts = (critical: number, warning: number): Overview => ({ ...base, well: false, counts: { ...base.counts, alerts: { critical, warning, info: 0 } } });
  assert.deepEqual(verdict(alerts(2, 1), "live"), { level: "critical", key: "verdict.critical.other", count: 2 });
  assert.equal(verdict(alerts(0, 1), "live").key, "verdict.warning.one");
  assert.equal(verdict({ ...base, upstream: { url: "x", connected: false, published: 0 } }, "live").key, "verdict.upstream");
  assert.equal(verdict({ ...base, adapters: { a: { state: "down", since: "", restarts: 1 } } }, "live").key, "verdict.adapter.one");
  assert.equal(verdict({ ...base, problems: ["disk"] }, "live").key, "verdict.problem");
  assert.equal(verdict({ ...base, counts: { ...base.counts, heard: 0 } }, "live").level, "info");
});

test("the ledger's bands fill the bar exactly, and one lost reading is seen", () => {
  const { bands, height } = picture({ in: 1_000_000, published: 999_000, queued: 0, open: 999, dropped: { late: 1 } });
  const sum = bands.reduce((total, band) => total + band.from.height, 0);
  assert.ok(Math.abs(sum - (height - 16)) < 1e-6);
  const late = bands.find((band) => band.reason === "late")!;
  assert.ok(late.to.height >= 2 && late.from.height > 1);
  assert.equal(bands.find((band) => band.name === "queued")!.from.height, 0);
});

test("what the ledger misses is a band of its own; many reasons are gathered", () => {
  assert.equal(picture({ in: 10, published: 4, queued: 1, open: 1, dropped: { late: 1 } }).bands.find((band) => band.name === "missing")!.count, 3);
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`r${at}`, at + 1]));
  const dropped = picture({ in: 45, published: 0, queued: 0, open: 0, dropped: many }).bands.filter((band) => band.name === "dropped");
  assert.equal(dropped.length, 5);
  assert.equal(dropped.reduce((sum, band) => sum + band.count, 0), 45);
});

test("floors stand one above the other, the basement at the bottom", () => {
  const rows = floors(["basement/boiler", "floor-10/a", "floor-2/b", "roof/fan", "hall"], [device("x", { zone: "floor-2/b", state: "alert", severity: "warning" }), device("y", { zone: "floor-2/b", metrics: { temperature: { value: 20, time: "", kind: "gauge" } } })]);
  assert.deepEqual(rows.map((row) => row.name), ["roof", "floor-10", "floor-2", "basement", ""]);
  const cell = rows[2]!.cells[0]!;
  assert.deepEqual([cell.devices, cell.severity, cell.temperature], [2, "warning", 20]);
});

test("search needs every word; a zone has those below it", () => {
  const one = device("lounge-co2", { zone: "floor-1/lounge", protocol: "ble", address: "A4:C1" });
  assert.ok(matches(one, NO_FILTER, ["lounge", "a4"]));
  assert.ok(!matches(one, NO_FILTER, ["lounge", "kitchen"]));
  assert.ok(matches(one, { ...NO_FILTER, zone: "floor-1" }, []));
  assert.ok(!matches(one, { ...NO_FILTER, zone: "floor-1/lou" }, []));
  assert.ok(!matches(one, { ...NO_FILTER, state: "unnamed" }, []));
});

test("devices with an alert come first, and orders can be turned", () => {
  const all = [device("a"), device("b", { state: "alert", severity: "warning", battery: 5 }), device("c", { state: "alert", severity: "critical", last_heard: "2026" })];
  const names = (order: Parameters<typeof select>[2]): string => select(all, NO_FILTER, order).map((one) => one.name).join("");
  assert.equal(names({ column: "name", down: false }), "cba");
  assert.equal(names({ column: "name", down: true }), "cba");
  assert.equal(names({ column: "battery", down: false }), "bac");
  assert.equal(names({ column: "heard", down: false }), "cab");
});

test("the rows drawn are those on the screen and a few more, never outside the list", () => {
  assert.deepEqual(visibleRows(0, 460, 46, 5000, 2), { first: 0, end: 12 });
  assert.deepEqual(visibleRows(46_000, 460, 46, 5000, 2), { first: 998, end: 1012 });
  assert.deepEqual(visibleRows(1e9, 460, 46, 10, 2), { first: 10, end: 10 });
  assert.deepEqual(visibleRows(-5000, 460, 46, 10, 2), { first: 0, end: 0 });
});

test("sparklines are asked for once, and again when old", () => {
  const have = new Map([["a", { metric: undefined, values: [], fetched: 1_000_000 }], ["old", { metric: undefined, values: [], fetched: 0 }]]);
  assert.deepEqual(missing(["a", "old", "new", "asked"], have, new Set(["asked"]), 1_000_001), ["old", "new"]);
  assert.equal(missing(Array.from({ length: 150 }, (_, at) => `d${at}`), new Map(), new Set(), 0).length, 100);
});

test("a sparkline leaves gaps open and shows a value alone", () => {
  const { line, last } = sparkPath([1, 2, null, 3, null], 40, 20);
  assert.equal((line.match(/M/g) ?? []).length, 2);
  assert.match(line, /h1$/);
  assert.equal(last![0], 30);
  assert.deepEqual(sparkPath([null, null], 40, 20), { line: "", last: null });
});

test("snippets are TOML, whatever the device calls itself", () => {
  assert.equal(snippet({ name: "lounge", address: "A4:C1:38:8D:18:B2", zone: "floor-1/lounge" }), '[devices.lounge]\naddress = "A4:C1:38:8D:18:B2"\nzone    = "floor-1/lounge"\n');
  assert.match(snippet({ name: "büro 1", address: 'a"b\\c\n', zone: "" }), /^\[devices\."büro 1"\]\naddress = "a\\"b\\\\c\\u000a"\n$/);
  assert.equal(quote("x"), '"x"');
  assert.equal(suggestName("A4:C1:38:8D:18:B2", "ble"), "ble-8d18b2");
  assert.equal(suggestName("kitchen/Plug 3", "mqtt"), "kitchen-plug-3");
  assert.equal(suggestName("///", "mqtt"), "device");
});

test("a message does not repeat the device that stands beside it", () => {
  assert.equal(messageOf({ device: "lounge", message: "lounge has been silent for 10s" }), "has been silent for 10s");
  assert.equal(messageOf({ device: "lounge", message: "lounge-2 is odd" }), "lounge-2 is odd");
});

test("hex is read as people paste it", () => {
  assert.equal(cleanHex("0x03, 0x67 01:10"), "03670110");
  assert.equal(cleanHex("367"), null);
  assert.equal(cleanHex("zz"), null);
  assert.equal(spaced("036701"), "03 67 01");
});

test("a device's name survives the address, with slashes and percent signs", () => {
  const name = "kitchen/50%/ü";
  assert.equal(parse(devicePath(name), "").device, name);
  assert.equal(parse("/device/%E0%A4%A", "").device, "%E0%A4%A");
  assert.equal(parse("/x", "").page, "unknown");
  for (const odd of [".", ".."]) {
    const { pathname, search } = new URL(devicePath(odd, "co2"), "http://riser.local");
    assert.equal(parse(pathname, search).device, odd);
    assert.equal(parse(pathname, search).query.get("metric"), "co2");
  }
  assert.equal(devicePath("a b", "co2"), "/device/a%20b?metric=co2");
});

test("numbers have the digits that help, times the gateway's zone", () => {
  assert.equal(number(0.01234), "0.012");
  assert.equal(number(21.44), "21.4");
  assert.equal(number(NaN), "–");
  assert.equal(bytes(71_000_000), "71\u202fMB");
  assert.equal(unit("Cel"), "°C");
  assert.deepEqual([short(99_999), short(1_234_567), short(999_600)], ["99,999", "1.23\u202fM", "1\u202fM"]);
  setWords("en");
  assert.equal(ago(0, 12_000), "12s ago");
  setZone("Not/AZone");
});

test("a store tells its listeners of changes only", () => {
  const store = createStore(1);
  let told = 0;
  const stop = store.subscribe(() => (told += 1));
  store.set(1);
  store.set((now) => now + 1);
  stop();
  store.set(5);
  assert.equal(told, 1);
});

test("link and metrics: bars of the signal, what an alert is about first", () => {
  assert.equal(bars({ rssi: -50 }), 4);
  assert.equal(bars({ rssi: -120 }), 0);
  assert.equal(bars({ linkquality: 130 }), 3);
  const value = (more = {}) => ({ value: 1, time: "", kind: "gauge" as const, ...more });
  const metrics = { battery: value(), humidity: value({ raised: "warning" }), temperature: value(), odd: value() };
  assert.deepEqual(orderedMetrics(metrics), ["humidity", "temperature", "odd", "battery"]);
  assert.deepEqual(rowMetrics(device("x", { metrics }), 3), ["humidity", "temperature", "odd"]);
});

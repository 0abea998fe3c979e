// The page at work: it opens, values move, a chart zooms, an alert appears and is acknowledged.
import { test, before } from "node:test";
import assert from "node:assert/strict";
import { anyDevice, close, open, PATIENCE, REAL, target } from "./lib.mjs";

let url;
before(async () => {
  url = await target({ devices: 48, alertsEvery: 2 });
});

test("the page opens and says in one sentence whether everything is well", async () => {
  const opened = await open(url);
  const verdict = opened.page.locator(".verdict h1");
  await verdict.waitFor();
  assert.notEqual((await verdict.textContent()).trim(), "");
  await opened.page.locator(".devices .row").first().waitFor();
  assert.ok((await opened.page.locator(".ledger-picture .band").count()) > 0);
  assert.ok((await opened.page.locator(".connections .card").count()) > 0);
  await opened.page.locator(".spark path").first().waitFor({ state: "attached" });
  const paint = await opened.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`first contentful paint after ${Math.round(paint)} ms`);
  await close(opened);
});

test("the page sends a strict policy and asks nobody else", async () => {
  const answer = await fetch(url);
  const policy = answer.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
});

test("values move without a reload", async () => {
  const opened = await open(url);
  const text = () => opened.page.locator(".devices .rows").innerText();
  await opened.page.locator(".devices .row").first().waitFor();
  await opened.page.locator(".live.is-live").waitFor({ timeout: PATIENCE });
  const values = () => opened.page.locator(".c-values").allInnerTexts();
  const first = JSON.stringify(await values());
  await opened.page.waitForFunction((before) => JSON.stringify([...document.querySelectorAll(".c-values")].map((cell) => cell.innerText)) !== before, first, { timeout: PATIENCE });
  assert.notEqual(await text(), "");
  await close(opened);
});

const shown = (page) => page.locator(".plot-box").evaluate((box) => ({ from: Number(box.dataset.from), to: Number(box.dataset.to), points: Number(box.dataset.points), source: box.dataset.source }));
const length = ({ from, to }) => (to - from) / 1000;

test("a chart zooms by buttons, by dragging and by keys, from ten minutes to the whole history", async () => {
  const opened = await open(`${url}/device/${encodeURIComponent(await anyDevice(url))}`);
  const { page } = opened;
  await page.locator(".plot canvas").waitFor();
  assert.ok(Math.abs(length(await shown(page)) - 86_400) < 5);
  for (const [label, seconds] of [["10 min", 600], ["1 h", 3600], ["7 d", 604_800], ["30 d", 2_592_000]]) {
    await page.getByRole("button", { name: label, exact: true }).click();
    await page.waitForFunction((wanted) => Math.abs((document.querySelector(".plot-box").dataset.to - document.querySelector(".plot-box").dataset.from) / 1000 - wanted) < 5, seconds);
  }
  await page.getByRole("button", { name: "All", exact: true }).click();
  await page.getByRole("button", { name: "24 h", exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".plot-box").dataset.source !== "days" && Math.abs((document.querySelector(".plot-box").dataset.to - document.querySelector(".plot-box").dataset.from) / 1000 - 86_400) < 5);

  const plot = await page.locator(".u-over").boundingBox();
  await page.mouse.move(plot.x + plot.width * 0.25, plot.y + 60);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.5, plot.y + 80, { steps: 8 });
  await page.mouse.up();
  await page.waitForFunction(() => Math.abs((document.querySelector(".plot-box").dataset.to - document.querySelector(".plot-box").dataset.from) / 1000 - 21_600) < 700);
  assert.match(page.url(), /from=.*to=/);

  const before = length(await shown(page));
  await page.locator(".plot-box").focus();
  await page.keyboard.press("+");
  await page.waitForFunction((wanted) => Math.abs((document.querySelector(".plot-box").dataset.to - document.querySelector(".plot-box").dataset.from) / 1000 - wanted) < 2, before / 2);
  await page.getByText("Values as a table").click();
  await page.locator(".chart-foot tbody tr").nth(1).waitFor();
  await close(opened);
});

test("an alert appears of itself, and is said to screen readers", async () => {
  const opened = await open(`${url}/alerts`);
  const { page } = opened;
  await page.locator(".live.is-live").waitFor({ timeout: PATIENCE });
  const known = await page.locator("[data-alert]").evaluateAll((rows) => rows.map((row) => row.dataset.alert));
  // A real building may have raised all that it will: then those that are open are shown, as the API has them.
  if (REAL && known.length > 0) {
    const { alerts } = await (await fetch(`${url}/api/v1/alerts?state=open&limit=1000`)).json();
    await page.waitForFunction((ids) => ids.every((id) => document.querySelector(`[data-alert="${CSS.escape(id)}"]`)), alerts.map((alert) => alert.id));
  } else {
    await page.waitForFunction((ids) => [...document.querySelectorAll("[data-alert]")].some((row) => !ids.includes(row.dataset.alert)), known, { timeout: PATIENCE });
    await page.waitForFunction(() => [...document.querySelectorAll(".sr[role=status]")].some((region) => region.textContent.length > 12), undefined, { timeout: PATIENCE });
  }
  await close(opened);
});

test("an alert is acknowledged and says until when; one that cannot be says why", async () => {
  const opened = await open(`${url}/alerts`);
  const { page } = opened;
  const button = page.getByRole("button", { name: "Acknowledge" }).first();
  const reason = page.getByText("It ends with its cause").first();
  // Of a real building only anomalies can be acknowledged, and it may take days to learn what is one.
  await (REAL ? button.or(reason).first() : button).waitFor({ timeout: PATIENCE });
  if (await button.count()) {
    const id = await page.locator("[data-alert]", { has: button }).first().getAttribute("data-alert");
    const row = page.locator(`[data-alert="${id}"]`);
    await row.getByRole("combobox").selectOption("8h");
    await row.getByRole("button", { name: "Acknowledge" }).click();
    await row.getByText(/Acknowledged: silent until/).waitFor();
    const { alerts } = await (await fetch(`${url}/api/v1/alerts?state=all&limit=1000`)).json();
    assert.ok(alerts.find((alert) => alert.id === id).acknowledged.until);
  }
  await close(opened);
});

test("past alerts come page by page", async () => {
  const opened = await open(`${url}/alerts?show=past`);
  await opened.page.locator("[data-alert], .empty").first().waitFor();
  await close(opened);
});

test("a device's page shows raw payloads and how they were read, its rules and its ledger", async () => {
  const opened = await open(`${url}/device/${encodeURIComponent(await anyDevice(url))}`);
  await opened.page.locator(".messages li").first().waitFor();
  assert.notEqual(await opened.page.locator(".messages .payload").first().innerText(), "");
  assert.ok((await opened.page.locator("#rules").count()) === 1 && (await opened.page.locator("#device-ledger").count()) === 1);
  await close(opened);
});

test("search and filters find devices, and stand in the address", async () => {
  const opened = await open(`${url}/devices`);
  const { page } = opened;
  await page.locator(".row").first().waitFor();
  const name = await page.locator(".row a").nth(2).innerText();
  await page.locator("#search").fill(name);
  await page.waitForFunction((wanted) => document.querySelector(".row a")?.innerText === wanted, name);
  assert.match(page.url(), /q=/);
  await page.locator("#search").fill("no such device at all");
  await page.getByRole("button", { name: "Show all" }).click();
  await page.locator(".row").nth(3).waitFor();
  await close(opened);
});

for (const [locale, words] of [["fr-FR", "Appareils"], ["de-DE", "Geräte"], ["ja-JP", "Devices"]]) {
  test(`a browser that prefers ${locale} reads "${words}"`, async () => {
    const opened = await open(url, { locale });
    await opened.page.getByRole("link", { name: words }).first().waitFor();
    await close(opened);
  });
}

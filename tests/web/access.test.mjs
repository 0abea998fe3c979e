// Everybody can use it: axe finds nothing serious on any page, in any theme and width; the keyboard alone is enough.
import { test, before } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { anyDevice, close, open, PHONE, target } from "./lib.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let url;
let paths;
before(async () => {
  url = await target({ devices: 48, alertsEvery: 60 });
  const device = encodeURIComponent(await anyDevice(url));
  paths = { overview: "/", devices: "/devices", device: `/device/${device}`, alerts: "/alerts", past: "/alerts?show=past", setup: "/setup" };
});

async function settled(page) {
  await page.locator("main h1, main h2").first().waitFor();
  await page.locator(".loading").first().waitFor({ state: "detached" });
}

const MODES = { light: {}, dark: { colorScheme: "dark" }, phone: PHONE };
for (const [mode, options] of Object.entries(MODES)) {
  test(`axe finds nothing serious: ${mode}`, async () => {
    for (const [name, path] of Object.entries(paths)) {
      // axe is put in by the browser itself, past the page's policy.
      const opened = await open(url + path, { ...options, bypassCSP: true });
      await settled(opened.page);
      await opened.page.evaluate(AXE);
      const { violations } = await opened.page.evaluate(() => globalThis.axe.run());
      const found = violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 140)).join(" | ")}`);
      const small = violations.filter((one) => !["serious", "critical"].includes(one.impact)).map((one) => one.id);
      if (small.length) console.log(`${mode} ${name}: minor: ${small.join(", ")}`);
      assert.deepEqual(found, [], `${mode} ${name}`);
      await close(opened);
    }
  });
}

for (const width of [360, 720, 1024]) {
  test(`no page scrolls sideways at ${width} pixels`, async () => {
    for (const [name, path] of Object.entries(paths)) {
      const opened = await open(url + path, { viewport: { width, height: 740 } });
      await settled(opened.page);
      const over = await opened.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${name}: ${over} pixels too wide`);
      await close(opened);
    }
  });
}

test("the keyboard alone: skip link, search by /, rows by arrows, a device by Enter, back by the browser", async () => {
  const opened = await open(url);
  const { page } = opened;
  await page.locator(".row").nth(5).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement.id === "search");
  await page.keyboard.press("Escape");
  const focusedRow = () => page.evaluate(() => Number(document.activeElement.dataset.row ?? -1));
  for (let tries = 0; tries < 12 && (await focusedRow()) < 0; tries += 1) await page.keyboard.press("Tab");
  assert.equal(await focusedRow(), 0);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.activeElement.dataset.row === "2");
  await page.keyboard.press("End");
  await page.waitForFunction(() => Number(document.activeElement.dataset.row) > 5);
  const inView = await page.evaluate(() => {
    const box = document.activeElement.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= innerHeight;
  });
  assert.ok(inView, "the focused row is on the screen");
  const name = await page.evaluate(() => document.activeElement.innerText);
  await page.keyboard.press("Enter");
  await page.waitForFunction((wanted) => document.querySelector("article.device h1")?.innerText === wanted, name);
  await page.waitForFunction(() => document.activeElement.tagName === "H1");
  await page.goBack();
  await page.locator(".verdict").waitFor();
  await close(opened);
});

test("every focus can be seen", async () => {
  const opened = await open(url);
  const { page } = opened;
  await page.locator(".row").first().waitFor();
  for (let step = 0; step < 25; step += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === document.body) return true;
      const style = getComputedStyle(at);
      return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || Boolean(at.closest(".drop"));
    });
    assert.ok(seen, await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120)));
  }
  await close(opened);
});

test("the list tells its size, and where a row stands, though few rows exist", async () => {
  const opened = await open(`${url}/devices`);
  const { page } = opened;
  await page.locator(".row").first().waitFor();
  const total = (await (await fetch(`${url}/api/v1/devices?limit=1`)).json()).total;
  await page.waitForFunction((count) => Number(document.querySelector("[role=grid]").getAttribute("aria-rowcount")) === count + 1, total);
  assert.equal(await page.locator(".row").first().getAttribute("aria-rowindex"), "2");
  await close(opened);
});

test("who wants no motion sees none", async () => {
  const opened = await open(url, { reducedMotion: "reduce" });
  await opened.page.locator(".live i").first().waitFor();
  assert.equal(await opened.page.locator(".live i").first().evaluate((dot) => getComputedStyle(dot).animationName), "none");
  await close(opened);
});

test("the theme is chosen, kept, and drawn by the chart too", async () => {
  const opened = await open(url + paths.device);
  const { page } = opened;
  await page.locator(".plot canvas").waitFor();
  const button = page.getByRole("button", { name: /^Theme/ });
  await button.click();
  await button.click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  await page.locator(".plot canvas").waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "dark");
  await close(opened);
});

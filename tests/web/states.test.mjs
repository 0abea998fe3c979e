// Rare states: nothing heard yet, a login, a gateway that goes away and comes back. Always against the mock, which can be put into them.
import { test } from "node:test";
import assert from "node:assert/strict";
import { close, open, PHONE } from "./lib.mjs";
import { startServer } from "../../crates/http/web/mock/server.mjs";

async function withMock(options, use) {
  const mock = await startServer(options);
  try {
    await use(mock);
  } finally {
    await mock.stop();
  }
}

test("an empty gateway says what to do next, with lines to copy", () =>
  withMock({ devices: 0 }, async ({ url }) => {
    const opened = await open(url, { permissions: ["clipboard-read", "clipboard-write"] });
    const { page } = opened;
    await page.locator(".first-steps").waitFor();
    await page.locator(".first-steps").getByRole("button", { name: /^Copy/ }).first().click();
    await page.getByText("Copied").waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^mosquitto_pub/);
    await close(opened);
  }));

for (const [name, options] of [["an empty gateway", { devices: 0 }], ["a login", { devices: 1, password: "x" }], ["a building of 300 zones", { devices: 2000 }]]) {
  test(`${name} fits a phone`, () =>
    withMock(options, async ({ url }) => {
      const opened = await open(url, PHONE);
      await opened.page.locator("main h1").first().waitFor();
      const width = await opened.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${width} pixels`);
      await close(opened);
    }));
}

test("a login is asked for, a wrong password is told, the right one opens the page asked for, and logout closes it", () =>
  withMock({ devices: 10, password: "correct horse" }, async ({ url }) => {
    const opened = await open(`${url}/alerts`);
    const { page } = opened;
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("Wrong password.").waitFor();
    await page.getByLabel("Password").fill("correct horse");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Alerts", exact: true }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password").waitFor();
    await opened.context.close();
    // The browser itself logs the refused login; nothing else may be complained of.
    assert.deepEqual(opened.complaints.filter((text) => !/status of 401/.test(text)), []);
  }));

test("too many wrong passwords: the page says how long to wait", () =>
  withMock({ devices: 1, password: "x" }, async ({ url }) => {
    for (let at = 0; at < 5; at += 1) await fetch(`${url}/api/v1/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"password":"no"}' });
    const opened = await open(url);
    await opened.page.getByLabel("Password").fill("x");
    await opened.page.keyboard.press("Enter");
    await opened.page.getByText(/Too many attempts\. Wait/).waitFor();
    await opened.context.close();
  }));

test("a gateway that goes away is told of, and one that comes back is followed again", async () => {
  const first = await startServer({ devices: 20 });
  const opened = await open(first.url);
  const { page } = opened;
  await page.locator(".live.is-live").waitFor();
  await first.stop();
  await page.locator(".verdict.lost").waitFor({ timeout: 15_000 });
  assert.match(await page.locator(".verdict h1").innerText(), /No connection/);
  const second = await startServer({ devices: 20, port: Number(new URL(first.url).port) });
  try {
    await page.locator(".live.is-live").waitFor({ timeout: 30_000 });
    assert.equal(await page.locator(".verdict.lost").count(), 0);
  } finally {
    await opened.context.close();
    await second.stop();
  }
});

test("a stream that breaks resumes, and no alert of the meantime is missed", () =>
  withMock({ devices: 30, alertsEvery: 3600 }, async ({ url, gateway }) => {
    const opened = await open(`${url}/alerts`);
    const { page } = opened;
    await page.locator(".live.is-live").waitFor();
    await page.waitForTimeout(1500);
    for (const client of gateway.clients) client.destroy();
    gateway.alertStep();
    const newest = gateway.alerts.all[0];
    await page.locator(`[data-alert="${newest.id}"]`).waitFor({ timeout: 15_000 });
    await opened.context.close();
  }));

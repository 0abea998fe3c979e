// What the browser tests share: a browser, the gateway or the mock that they look at, and a page that remembers every complaint.
import { after } from "node:test";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { startServer } from "../../crates/http/web/mock/server.mjs";

/** Where a real gateway is; without it the tests start a mock each. */
export const REAL = process.env.RISER_URL;
/** How long to wait for what a building does of itself: a value that moves, an alert. */
export const PATIENCE = Number(process.env.RISER_PATIENCE_MS ?? (REAL ? 120_000 : 15_000));

// At the file's end, not at that of the test or hook which opened it.
const opened = [];
after(async () => {
  for (const end of opened.reverse()) await end();
});

/** The address to test: the environment's, else a mock's that ends with the test file. */
export async function target(options = {}, variable = "RISER_URL") {
  const given = process.env[variable];
  if (given) return given.replace(/\/$/, "");
  const mock = await startServer(options);
  opened.push(() => mock.stop());
  return mock.url;
}

let shared;
export async function browser() {
  if (!shared) {
    shared = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
    opened.push(() => shared.close());
  }
  return shared;
}

/** A page whose errors, warnings and violations of the content security policy are kept in `complaints`. */
export async function open(url, options = {}) {
  const context = await (await browser()).newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  await page.exposeFunction("__violation", (text) => complaints.push(`CSP: ${text}`));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => globalThis.__violation(`${event.violatedDirective} ${event.blockedURI}`)));
  const outside = [];
  page.on("request", (request) => new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("data:") && outside.push(request.url()));
  await page.goto(url);
  return { page, context, complaints, outside };
}

/** Ends a test: nothing was complained of, nothing was asked of another host. */
export async function close({ context, complaints, outside }) {
  await context.close();
  assert.deepEqual(complaints, []);
  assert.deepEqual(outside, []);
}

export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** The first device that has been heard and has a number to draw. */
export async function anyDevice(url) {
  const { devices } = await (await fetch(`${url}/api/v1/devices?limit=100`)).json();
  const found = devices.find((device) => device.named && Object.values(device.metrics).some((value) => value.kind === "gauge"));
  assert.ok(found, "a device with a gauge");
  return found.name;
}

// Takes the README's pictures from RISER_URL into a folder: overview light and dark, a device with an anomaly, a phone. Each is small.
import { chromium } from "playwright-core";
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

const LARGEST = 150_000;
const url = process.env.RISER_URL;
const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const get = async (path) => (await fetch(`${url}/api/v1${path}`)).json();

/** The device that shows most: one with an anomaly, else with an alert, else the first. */
async function telling() {
  const { alerts } = await get("/alerts?state=all&limit=200");
  const found = alerts.find((alert) => alert.device && alert.kind === "anomaly") ?? alerts.find((alert) => alert.device && alert.metric);
  if (found) return `/device/${encodeURIComponent(found.device)}?metric=${encodeURIComponent(found.metric ?? "")}`;
  return `/device/${encodeURIComponent((await get("/devices?limit=1")).devices[0].name)}`;
}

const device = await telling();
const desk = { viewport: { width: 1280, height: 800 } };
const PICTURES = {
  "overview-light": ["/", { ...desk, colorScheme: "light" }],
  "overview-dark": ["/", { ...desk, colorScheme: "dark" }],
  device: [device, { ...desk, colorScheme: "light" }],
  phone: ["/", { viewport: { width: 360, height: 760 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: "light" }],
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let failed = false;
for (const [name, [path, options]] of Object.entries(PICTURES)) {
  const context = await browser.newContext({ locale: "en-GB", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(url + path);
  await page.locator(path === "/" ? ".verdict" : ".plot canvas").waitFor();
  await page.locator(".live.is-live").waitFor({ timeout: 30_000 });
  // The sparklines and the chart are drawn a moment after the first values.
  await page.waitForTimeout(1500);
  const file = join(folder, `${name}.png`);
  await page.screenshot({ path: file });
  await context.close();
  execFileSync("pngquant", ["--force", "--strip", "--speed", "1", "--output", file, "256", file]);
  const { size } = statSync(file);
  console.log(`${file}: ${size} bytes`);
  if (size > LARGEST) failed = true;
}
await browser.close();
if (failed) {
  console.error(`a picture is larger than ${LARGEST} bytes`);
  process.exit(1);
}

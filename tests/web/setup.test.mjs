// Setup: snippets to copy, the trial of a codec, the configuration in force, the check of a file.
import { test, before } from "node:test";
import assert from "node:assert/strict";
import { close, open, target } from "./lib.mjs";

let url;
before(async () => {
  url = await target({ devices: 48, alertsEvery: 60 });
});

test("an unnamed device has a table to copy, with the name and zone that were typed", async () => {
  const opened = await open(`${url}/setup`, { permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = opened;
  await page.locator(".unnamed, .calm").first().waitFor();
  const rows = await page.locator(".unnamed").count();
  if (rows > 0) {
    const row = page.locator(".unnamed").first();
    await row.getByLabel("Name").fill("lounge");
    await row.getByLabel("Zone").fill("floor-1/lounge");
    assert.match(await row.locator("pre").innerText(), /^\[devices\.lounge\]\naddress = ".+"\nzone {4}= "floor-1\/lounge"/);
    await row.getByRole("button", { name: /^Copy/ }).click();
    await row.getByText("Copied").waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\[devices\.lounge\]/);
  }
  await close(opened);
});

test("a payload is decoded in the page, and half a byte is refused before it is sent", async () => {
  const opened = await open(`${url}/setup`);
  const { page } = opened;
  await page.getByLabel("Codec", { exact: true }).selectOption("cayenne-lpp");
  await page.getByLabel("Payload, hexadecimal").fill("0x03 67 01 10 05 67 00 FF");
  await page.getByRole("button", { name: "Decode" }).click();
  const result = page.locator(".decoded table");
  await result.waitFor();
  assert.match(await result.innerText(), /temperature_3[\s\S]*27\.2[\s\S]*temperature_5[\s\S]*25\.5/);
  await page.getByLabel("Payload, hexadecimal").fill("036");
  await page.getByRole("button", { name: "Decode" }).click();
  await page.getByText("no whole bytes").waitFor();
  await close(opened);
});

test("the configuration in force is shown without its secrets, or that there is no file", async () => {
  const opened = await open(`${url}/setup`);
  const { page } = opened;
  const { toml } = await (await fetch(`${url}/api/v1/config`)).json();
  if (toml.trim() === "") await page.getByText("runs without a file").waitFor();
  else assert.match(await page.locator(".listing").first().innerText(), /\[/);
  assert.doesNotMatch(toml, /^\s*password\s*=\s*"(?!\*\*\*")/m);
  await close(opened);
});

test("a file that is chosen is checked, with line and key of what is wrong", async () => {
  const opened = await open(`${url}/setup`);
  const { page } = opened;
  await page.locator("#check").waitFor();
  const text = '[adapters.mqtt.floor]\ntopcs = [ { filter = "sensors/{device}/telemetry", format = "json" } ]\n';
  await page.locator("input[type=file]").setInputFiles({ name: "mine.toml", mimeType: "text/plain", buffer: Buffer.from(text) });
  const finding = page.locator("section[aria-labelledby=check] .findings li.error").first();
  await finding.waitFor();
  assert.match(await finding.innerText(), /2:\d+[\s\S]*topcs[\s\S]*topics/);
  await page.locator("input[type=file]").setInputFiles({ name: "large.toml", mimeType: "text/plain", buffer: Buffer.alloc(300_000, "#") });
  await page.getByText(/larger than/).waitFor();
  await close(opened);
});

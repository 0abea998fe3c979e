// The three languages have the same keys, the same parameters, and nothing is empty.
import { test } from "node:test";
import assert from "node:assert/strict";
import en from "../src/messages/en.json";
import fr from "../src/messages/fr.json";
import de from "../src/messages/de.json";
import { fill, preferred } from "../src/i18n";

const parameters = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort();

for (const [name, messages] of Object.entries({ fr, de }) as [string, Record<string, string>][]) {
  test(`${name} has the keys and parameters of English`, () => {
    assert.deepEqual(Object.keys(messages).sort(), Object.keys(en).sort());
    for (const [key, text] of Object.entries(en)) assert.deepEqual(parameters(messages[key]!), parameters(text), key);
  });
  test(`${name} has no empty text`, () => {
    for (const [key, text] of Object.entries(messages)) assert.ok(text.trim().length > 0, key);
  });
}

test("a plural has both forms", () => {
  for (const key of Object.keys(en)) if (key.endsWith(".one")) assert.ok(`${key.slice(0, -4)}.other` in en, key);
});

test("the language chosen wins over the browser's, and English is the last resort", () => {
  assert.equal(preferred("de", ["fr-FR"]), "de");
  assert.equal(preferred(null, ["it", "fr-CA", "de"]), "fr");
  assert.equal(preferred("xx", ["ja"]), "en");
});

test("parameters are filled in, and an unknown one stays visible", () => {
  assert.equal(fill("{n} of {total}", { n: 3 }), "3 of {total}");
});

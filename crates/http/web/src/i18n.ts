// Texts in English, French and German. The language is the one chosen, else the first that the browser prefers.
import en from "./messages/en.json";
import fr from "./messages/fr.json";
import de from "./messages/de.json";
import { createStore, useStore } from "./store";
import { setWords } from "./format";

export type Key = keyof typeof en;
export type Language = "en" | "fr" | "de";
type Parameters = Record<string, string | number>;

export const LANGUAGES: Record<Language, string> = { en: "English", fr: "Français", de: "Deutsch" };
const MESSAGES: Record<Language, Record<string, string>> = { en, fr, de };
const KEPT = "riser.language";

const isLanguage = (name: string | undefined | null): name is Language => name === "en" || name === "fr" || name === "de";

export function preferred(kept: string | null, wanted: readonly string[]): Language {
  if (isLanguage(kept)) return kept;
  for (const tag of wanted) {
    const name = tag.slice(0, 2).toLowerCase();
    if (isLanguage(name)) return name;
  }
  return "en";
}

export const language = createStore<Language>("en");

export function startLanguage(): void {
  apply(preferred(localStorage.getItem(KEPT), navigator.languages));
}
export function chooseLanguage(name: Language): void {
  localStorage.setItem(KEPT, name);
  apply(name);
}
function apply(name: Language): void {
  setWords(name);
  document.documentElement.lang = name;
  language.set(name);
}

export function fill(text: string, parameters: Parameters): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in parameters ? String(parameters[name]) : whole));
}

export const t = (key: Key, parameters: Parameters = {}): string => fill(MESSAGES[language.get()][key] ?? en[key], parameters);

type Counted = { [K in Key]: K extends `${infer Base}.one` ? Base : never }[Key];

/** The form for the number: keys end in .one and .other. {n} is the number, formatted by the caller's `shown`. */
export function tn(key: Counted, count: number, shown: string, parameters: Parameters = {}): string {
  const form = new Intl.PluralRules(language.get()).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}` as Key, { n: shown, ...parameters });
}

/** A text that may not be in the files, such as the name of a metric or a reason: then the fallback. */
export const known = (key: string, fallback: string): string => MESSAGES[language.get()][key] ?? fallback;

export const useLanguage = (): Language => useStore(language);

// Light, dark, or as the system has it: an attribute of the root element that the styles look at.
import { createStore } from "./store";

export type Theme = "auto" | "light" | "dark";
const KEPT = "riser.theme";

export const theme = createStore<Theme>("auto");
/** Grows when the colours in force change, so that a chart draws itself with the new ones. */
export const colours = createStore(0);

export function startTheme(): void {
  const kept = localStorage.getItem(KEPT);
  setTheme(kept === "light" || kept === "dark" ? kept : "auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.set((count) => count + 1));
}

export function setTheme(next: Theme): void {
  if (next === "auto") {
    localStorage.removeItem(KEPT);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(KEPT, next);
    document.documentElement.dataset["theme"] = next;
  }
  theme.set(next);
  colours.set((count) => count + 1);
}

export const nextTheme = (now: Theme): Theme => (now === "auto" ? "light" : now === "light" ? "dark" : "auto");

export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

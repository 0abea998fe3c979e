// Keys that work everywhere: "/" goes to the search, and where a page has none, to the list of devices.
import { go, route } from "./router";

export const SEARCH_ID = "search";

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function focusSearch(): void {
  document.getElementById(SEARCH_ID)?.focus();
}

export function startKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    event.preventDefault();
    if (!document.getElementById(SEARCH_ID)) {
      if (route.get().page === "login") return;
      go("/devices");
    }
    requestAnimationFrame(focusSearch);
  });
}

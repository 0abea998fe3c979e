// Where the page is: the address bar as a store. Links inside the page are followed without a reload.
import { createStore } from "./store";

export interface Route {
  page: "overview" | "devices" | "device" | "alerts" | "setup" | "login" | "unknown";
  device: string;
  query: URLSearchParams;
}

export function parse(path: string, search: string): Route {
  const query = new URLSearchParams(search);
  const [first = "", second = ""] = path.split("/").slice(1);
  if (first === "") return { page: "overview", device: "", query };
  const device = second === "" ? (query.get("name") ?? "") : decode(second);
  if (first === "device" && device !== "") return { page: "device", device, query };
  if (first === "devices" || first === "alerts" || first === "setup" || first === "login") return { page: first, device: "", query };
  return { page: "unknown", device: "", query };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Browsers take `.` and `..` out of every path, also percent-encoded ones: such a name stands in the query. */
export const fitsPath = (name: string): boolean => name !== "." && name !== "..";

export function devicePath(name: string, metric?: string): string {
  const query = new URLSearchParams({ ...(fitsPath(name) ? {} : { name }), ...(metric ? { metric } : {}) }).toString();
  return `/device${fitsPath(name) ? `/${encodeURIComponent(name)}` : ""}${query ? `?${query}` : ""}`;
}

const here = (): Route => parse(location.pathname, location.search);
export const route = createStore<Route>(typeof location === "undefined" ? parse("/", "") : here());

export function go(path: string): void {
  if (path === location.pathname + location.search) return;
  history.pushState(null, "", path);
  scrollTo(0, 0);
  route.set(here());
}

/** Changes the query of this page without a new entry in the browser's history. */
export function setQuery(change: Record<string, string | undefined>): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  route.set(here());
}

function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export function startRouter(): void {
  addEventListener("popstate", () => route.set(here()));
  document.addEventListener("click", follow);
}

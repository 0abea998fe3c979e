// Sparklines of the rows on the screen: fetched when the list stands still, kept for a few minutes.
import { api } from "../api";
import { endsLogin } from "../state";
import { createStore } from "../store";

export interface Spark {
  metric: string | undefined;
  values: (number | null)[];
  fetched: number;
}

const FRESH = 5 * 60_000;
const STILL = 150;
const MOST = 100;
const KEPT = 2000;

export const sparks = createStore<ReadonlyMap<string, Spark>>(new Map());
let timer: ReturnType<typeof setTimeout> | undefined;
let asked = new Set<string>();

/** The names in view whose sparkline is missing or old, at most as many as one request may have. */
export function missing(names: readonly string[], have: ReadonlyMap<string, Spark>, pending: ReadonlySet<string>, now: number): string[] {
  return names.filter((name) => !pending.has(name) && now - (have.get(name)?.fetched ?? -Infinity) > FRESH).slice(0, MOST);
}

async function load(names: string[]): Promise<void> {
  asked = new Set([...asked, ...names]);
  try {
    const answer = await api.sparklines(names);
    const next = new Map(sparks.get());
    if (next.size > KEPT) next.clear();
    const fetched = Date.now();
    for (const name of names) next.set(name, { metric: answer.metrics?.[name], values: answer.sparklines[name] ?? [], fetched });
    sparks.set(next);
  } catch (error) {
    endsLogin(error);
  } finally {
    for (const name of names) asked.delete(name);
  }
}

export function wantSparks(names: readonly string[]): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const wanted = missing(names, sparks.get(), asked, Date.now());
    if (wanted.length > 0) void load(wanted);
  }, STILL);
}

// One sentence: is everything well? From the worst to the best, the first that holds is said. Pure.
import type { Overview } from "./api";
import type { Connection } from "./state";
import type { Key } from "./i18n";

export type Level = "ok" | "info" | "warning" | "critical" | "lost";
export interface Verdict {
  level: Level;
  key: Key;
  /** A number in the sentence, where it has one. */
  count?: number;
}

export const adaptersDown = (overview: Overview): string[] =>
  Object.entries(overview.adapters).filter(([, adapter]) => adapter.state === "down").map(([name]) => name);

export function verdict(overview: Overview, connection: Connection): Verdict {
  const { counts, problems, upstream } = overview;
  if (connection === "lost") return { level: "lost", key: "verdict.lost" };
  if (counts.alerts.critical > 0) return { level: "critical", key: counts.alerts.critical === 1 ? "verdict.critical.one" : "verdict.critical.other", count: counts.alerts.critical };
  const down = adaptersDown(overview).length;
  if (down > 0) return { level: "warning", key: down === 1 ? "verdict.adapter.one" : "verdict.adapter.other", count: down };
  if (upstream && !upstream.connected) return { level: "warning", key: "verdict.upstream" };
  if (!overview.ledger.balanced) return { level: "warning", key: "verdict.ledger" };
  if (problems.length > 0 || (!overview.well && counts.alerts.warning === 0)) return { level: "warning", key: "verdict.problem" };
  if (counts.alerts.warning > 0) return { level: "warning", key: counts.alerts.warning === 1 ? "verdict.warning.one" : "verdict.warning.other", count: counts.alerts.warning };
  if (counts.heard === 0) return { level: "info", key: "verdict.nothing" };
  return { level: "ok", key: "verdict.well" };
}

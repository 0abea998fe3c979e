// The answer to "is everything well?": one sentence with a colour and an icon, and the figures behind it.
import type { Overview } from "../api";
import { bytes, duration, integer, short } from "../format";
import { t } from "../i18n";
import { connection } from "../state";
import { useStore } from "../store";
import { Icon, type IconName } from "../parts/icon";
import { verdict, type Level } from "../verdict";

const ICONS: Record<Level, IconName> = { ok: "check", info: "info", warning: "alert", critical: "critical", lost: "offline" };

function Figure({ label, value, of, href }: { label: string; value: string; of?: string; href?: string }) {
  const body = (
    <>
      <b>{value}{of && <small>{of}</small>}</b>
      <span>{label}</span>
    </>
  );
  return <li>{href ? <a class="figure" href={href}>{body}</a> : <span class="figure">{body}</span>}</li>;
}

export function VerdictPanel({ overview }: { overview: Overview }) {
  const state = useStore(connection);
  const { level, key, count } = verdict(overview, state);
  const { counts, gateway, queue, upstream } = overview;
  const open = counts.alerts.critical + counts.alerts.warning + counts.alerts.info;
  const heard = counts.heard < counts.devices ? integer(counts.heard) : integer(counts.devices);
  return (
    <section class={`verdict ${level}`} aria-labelledby="verdict">
      <span class="sign"><Icon name={ICONS[level]} size={30} /></span>
      <div class="words">
        <h1 id="verdict" tabIndex={-1}>{t(key, { n: integer(count ?? 0) })}</h1>
        {overview.problems.length > 0 ? (
          <ul class="problems" lang="en">{overview.problems.map((text) => <li key={text}>{text}</li>)}</ul>
        ) : (
          <p>{t("verdict.more", { uptime: duration(gateway.uptime), memory: bytes(overview.memory.resident) })}
            {gateway.time_quality !== "synced" && <> · {t("verdict.clock")}</>}</p>
        )}
      </div>
      <ul class="figures">
        <Figure label={t("figure.heard")} value={heard} of={`/${integer(counts.devices)}`} href={counts.heard < counts.devices ? "/devices?state=unheard" : "/devices"} />
        <Figure label={t("figure.alerts")} value={integer(open)} href="/alerts" />
        <Figure label={t("figure.queue")} value={short(queue.messages)} />
        <Figure label={t("figure.cloud")} value={upstream === null ? t("figure.cloud.none") : upstream.connected ? t("figure.cloud.up") : t("figure.cloud.down")} />
      </ul>
    </section>
  );
}

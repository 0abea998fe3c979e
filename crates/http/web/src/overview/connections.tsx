// Adapters, the cloud and the sinks as small cards: what is connected, what waits, and what is wrong.
import type { ComponentChildren } from "preact";
import type { Adapter, Overview, Sink } from "../api";
import { bytes, duration, integer, millis, short } from "../format";
import { t, tn } from "../i18n";
import { now } from "../state";
import { useStore } from "../store";
import { Icon, type IconName } from "../parts/icon";

/** Before that what is written in a day cannot be told from the first minutes. */
const SETTLED_S = 3600;

type State = "up" | "starting" | "down";
const ICONS: Record<State, IconName> = { up: "check", starting: "info", down: "offline" };

function Card({ name, state, word, error, children }: { name: string; state: State; word: string; error?: string | undefined; children: ComponentChildren }) {
  return (
    <li class={`card ${state}`}>
      <span class="name">{name}</span>
      <span class="state"><Icon name={ICONS[state]} size={14} /> {word}</span>
      <span class="detail">{children}</span>
      {error && state !== "up" && <span class="error" lang="en">{error}</span>}
    </li>
  );
}

function AdapterCard({ name, adapter }: { name: string; adapter: Adapter }) {
  const time = useStore(now);
  return (
    <Card name={name} state={adapter.state} word={t(`adapter.${adapter.state}`)} error={adapter.last_error}>
      {t("adapter.since", { time: duration(Math.max(0, (time - millis(adapter.since)) / 1000)) })}
      {adapter.restarts > 0 && <> · {tn("adapter.restarts", adapter.restarts, integer(adapter.restarts))}</>}
    </Card>
  );
}

function SinkCard({ name, sink }: { name: string; sink: Sink }) {
  const late = sink.queued > 0 && (sink.lag_s ?? 0) > 60;
  const state: State = sink.last_error && late ? "down" : late ? "starting" : "up";
  return (
    <Card name={name} state={state} word={state === "up" ? t("sink.up") : t("sink.behind", { time: duration(sink.lag_s ?? 0) })} error={sink.last_error}>
      {t("sink.delivered", { n: short(sink.delivered) })} · {t("sink.queued", { n: short(sink.queued) })}
      {sink.dropped > 0 && <> · {t("sink.dropped", { n: short(sink.dropped) })}</>}
    </Card>
  );
}

export function Connections({ overview }: { overview: Overview }) {
  const { adapters, sinks, upstream, queue, disk, history, gateway } = overview;
  return (
    <section class="panel connections" aria-labelledby="connections">
      <h2 id="connections">{t("connections.title")}</h2>
      <h3>{t("connections.adapters")}</h3>
      <ul class="cards">
        {Object.entries(adapters).map(([name, adapter]) => <AdapterCard key={name} name={name} adapter={adapter} />)}
      </ul>
      <h3>{t("connections.out")}</h3>
      <ul class="cards">
        {upstream ? (
          <Card name={upstream.url.replace(/^\w+:\/\//, "")} state={upstream.connected ? "up" : "down"} word={upstream.connected ? t("upstream.up") : t("upstream.down")} error={upstream.last_error}>
            {t("upstream.published", { n: short(upstream.published) })} · {t("upstream.queue", { n: short(queue.messages), bytes: bytes(queue.bytes) })}
          </Card>
        ) : (
          <li class="card none"><span class="name">{t("upstream.none")}</span><span class="detail">{t("upstream.none.text")} <code>[upstream]</code></span></li>
        )}
        {Object.entries(sinks).map(([name, sink]) => <SinkCard key={name} name={name} sink={sink} />)}
      </ul>
      <p class="quiet small-text">
        {history ? t("history.kept", { bytes: bytes(history.bytes) }) : t("history.none")}
        {disk && gateway.uptime > SETTLED_S && <> · {t("disk.per_day", { bytes: bytes(disk.per_day) })}</>}
      </p>
    </section>
  );
}

// The last messages as they came, byte by byte, and how the codec read them.
import type { Message } from "../api";
import { clock, dateTime, integer, millis, number } from "../format";
import { t } from "../i18n";
import { metricName } from "../metrics";
import { spaced } from "../setup/hex";

const MOST_BYTES = 64;

function Payload({ message }: { message: Message }) {
  const count = message.payload_hex.length / 2;
  const hex = spaced(message.payload_hex.slice(0, MOST_BYTES * 2)) + (count > MOST_BYTES ? " …" : "");
  return (
    <>
      {message.payload_text !== undefined ? <code class="payload">{message.payload_text}</code> : <code class="payload">{hex}</code>}
      {message.payload_text !== undefined && <details class="hex"><summary>{t("messages.bytes", { n: integer(count) })}</summary><code>{hex}</code></details>}
    </>
  );
}

function Read({ message }: { message: Message }) {
  if (message.error) return <span class="finding error" lang="en">{message.error}</span>;
  const metrics = Object.entries(message.metrics);
  if (metrics.length === 0) return <span class="quiet">{t("messages.no_metrics")}</span>;
  return <span class="readings">{metrics.map(([name, value]) => <span key={name}>{metricName(name)} <b>{number(value)}</b></span>)}</span>;
}

export function Messages({ messages }: { messages: Message[] }) {
  return (
    <section class="panel messages" aria-labelledby="messages">
      <h2 id="messages">{t("messages.title")}</h2>
      {messages.length === 0 && <p class="quiet">{t("messages.none")}</p>}
      <ol>
        {messages.map((message, at) => (
          <li key={message.time + at} class={message.error ? "bad" : ""}>
            <div class="meta">
              <time dateTime={message.time} title={dateTime(millis(message.time))}>{clock(millis(message.time))}</time>
              <span>{message.protocol}</span>
              {message.topic && <code>{message.topic}</code>}
              {message.codec && <span class="codec-name">{t("messages.codec", { codec: message.codec })}</span>}
              <a href={`/setup?codec=${encodeURIComponent(message.codec ?? "json")}&bytes=${message.payload_hex.slice(0, 1024)}`}>{t("messages.try")}</a>
            </div>
            <Payload message={message} />
            <Read message={message} />
          </li>
        ))}
      </ol>
    </section>
  );
}

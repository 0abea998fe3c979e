// Tries a codec on a payload, as `riser decode` does. A device's page brings its payload here by the address.
import { useEffect, useState } from "preact/hooks";
import { api, type Decoded } from "../api";
import { number } from "../format";
import { t } from "../i18n";
import { endsLogin } from "../state";
import { route } from "../router";
import { useLoad } from "../parts/use-load";
import { metricName } from "../metrics";
import { cleanHex, spaced } from "./hex";

function Result({ decoded }: { decoded: Decoded }) {
  const metrics = Object.entries(decoded.metrics);
  return (
    <div class="decoded" aria-live="polite">
      {decoded.errors.map((text) => <p key={text} class="finding error" lang="en">{text}</p>)}
      {decoded.warnings.map((text) => <p key={text} class="finding warning" lang="en">{text}</p>)}
      {metrics.length > 0 && (
        <table class="figures-table">
          <thead><tr><th scope="col">{t("alert.metric")}</th><th scope="col">{t("alert.value")}</th></tr></thead>
          <tbody>{metrics.map(([metric, value]) => <tr key={metric}><th scope="row"><code>{metric}</code> {metricName(metric) !== metric.replaceAll("_", " ") && <span class="quiet">{metricName(metric)}</span>}</th><td>{number(value)}</td></tr>)}</tbody>
        </table>
      )}
      {metrics.length === 0 && decoded.errors.length === 0 && <p class="quiet">{t("codec.no_metrics")}</p>}
      <details><summary>{t("codec.data")}</summary><pre role="group" tabIndex={0} aria-label={t("codec.data")}><code>{JSON.stringify(decoded.data, null, 2)}</code></pre></details>
    </div>
  );
}

export function CodecTrial() {
  const query = route.get().query;
  const codecs = useLoad(api.codecs, "codecs");
  const [codec, setCodec] = useState(query.get("codec") ?? "cayenne-lpp");
  const [port, setPort] = useState("");
  const [bytes, setBytes] = useState(spaced(cleanHex(query.get("bytes") ?? "") ?? "03670110056700ff"));
  const [decoded, setDecoded] = useState<Decoded | null>(null);
  const [problem, setProblem] = useState("");
  const names = [...new Set([...(codecs.value?.codecs ?? []), codec])];

  const decode = async (event?: Event): Promise<void> => {
    event?.preventDefault();
    const hex = cleanHex(bytes);
    setProblem("");
    setDecoded(null);
    if (hex === null) return setProblem(t("codec.bad_hex"));
    try {
      setDecoded(await api.decode({ codec, bytes: hex, ...(port ? { port: Number(port) } : {}) }));
    } catch (error) {
      if (!endsLogin(error)) setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  useEffect(() => {
    if (query.get("bytes")) void decode();
  }, []);
  return (
    <section class="panel" aria-labelledby="codec">
      <h2 id="codec">{t("codec.title")}</h2>
      <p class="quiet">{t("codec.text")}</p>
      <form class="codec" onSubmit={(event) => void decode(event)}>
        <div class="fields">
          <div><label for="codec-name">{t("codec.codec")}</label><select id="codec-name" value={codec} onChange={(event) => setCodec(event.currentTarget.value)}>{names.map((name) => <option key={name}>{name}</option>)}</select></div>
          <div><label for="codec-port">{t("codec.port")}</label><input id="codec-port" type="number" min="0" max="255" value={port} placeholder="–" onInput={(event) => setPort(event.currentTarget.value)} /></div>
        </div>
        <div class="wide"><label for="codec-bytes">{t("codec.bytes")}</label><textarea id="codec-bytes" rows={3} spellcheck={false} value={bytes} aria-invalid={problem !== ""} onInput={(event) => setBytes(event.currentTarget.value)} /></div>
        <button type="submit" class="primary">{t("codec.decode")}</button>
        <span class="problem" role="alert">{problem}</span>
      </form>
      {decoded && <Result decoded={decoded} />}
    </section>
  );
}

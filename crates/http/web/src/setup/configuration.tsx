// The configuration in force with its findings, and a check of a file that is dropped here. The check changes nothing.
import { useState } from "preact/hooks";
import { api, type Finding } from "../api";
import { bytes, integer } from "../format";
import { t, tn } from "../i18n";
import { endsLogin } from "../state";
import { Icon } from "../parts/icon";
import { useLoad } from "../parts/use-load";
import { CopyButton } from "../parts/copy";

const LARGEST = 256 * 1024;

function Findings({ findings }: { findings: Finding[] }) {
  const errors = findings.filter((finding) => finding.severity === "error").length;
  if (findings.length === 0) return <p class="finding good"><Icon name="check" size={16} /> {t("config.no_findings")}</p>;
  return (
    <>
      <p class={`finding ${errors > 0 ? "error" : "warning"}`}><Icon name="alert" size={16} /> {tn("config.findings", findings.length, integer(findings.length))}</p>
      <ul class="findings">
        {findings.map((finding, at) => (
          <li key={at} class={finding.severity}>
            <span class="word">{t(`finding.${finding.severity}`)}</span>
            <span class="place">{t("finding.place", { line: finding.line, column: finding.column })}</span>
            <span><code>{finding.key}</code> <span lang="en">{finding.message}</span></span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** The file with numbers; lines with a finding are marked, and say so. */
function Listing({ text, findings, label }: { text: string; findings: Finding[]; label: string }) {
  const worst = new Map<number, Finding>();
  for (const finding of findings) if (worst.get(finding.line)?.severity !== "error") worst.set(finding.line, finding);
  return (
    <pre class="listing" role="group" tabIndex={0} aria-label={label}>
      <code>
        {text.replace(/\n$/, "").split("\n").map((line, at) => {
          const finding = worst.get(at + 1);
          const kind = finding?.severity ?? (/^\s*#/.test(line) ? "comment" : /^\s*\[/.test(line) ? "table" : "");
          return <span key={at} class={`line ${kind}`} title={finding?.message}><i aria-hidden="true">{at + 1}</i>{line}{"\n"}</span>;
        })}
      </code>
    </pre>
  );
}

export function InForce() {
  const config = useLoad(api.config, "config");
  return (
    <section class="panel" aria-labelledby="config">
      <h2 id="config">{t("config.title")} {config.value && config.value.toml.trim() !== "" && <span class="note"><code>{config.value.file}</code> <CopyButton text={config.value.toml} label={t("config.title")} /></span>}</h2>
      {config.error && <p class="finding error" lang="en">{config.error}</p>}
      {config.value && (
        <>
          <Findings findings={config.value.findings} />
          {config.value.toml.trim() === "" ? <p class="quiet">{t("config.empty")}</p> : <Listing text={config.value.toml} findings={config.value.findings} label={t("config.title")} />}
        </>
      )}
    </section>
  );
}

type Checked = { name: string; text: string; findings: Finding[] };

export function CheckFile() {
  const [over, setOver] = useState(false);
  const [checked, setChecked] = useState<Checked | null>(null);
  const [problem, setProblem] = useState("");
  const check = async (file: File | undefined | null): Promise<void> => {
    if (!file) return;
    setProblem("");
    setChecked(null);
    if (file.size > LARGEST) return setProblem(t("check.too_large", { bytes: bytes(LARGEST) }));
    try {
      const text = await file.text();
      setChecked({ name: file.name, text, findings: (await api.check(text)).findings });
    } catch (error) {
      if (!endsLogin(error)) setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    void check(event.dataTransfer?.files[0]);
  };
  return (
    <section class="panel" aria-labelledby="check">
      <h2 id="check">{t("check.title")}</h2>
      <p class="quiet">{t("check.text")}</p>
      <label class={`drop ${over ? "over" : ""}`} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <Icon name="upload" size={26} />
        <span><b>{t("check.choose")}</b> {t("check.or_drop")}</span>
        <input type="file" class="sr" accept=".toml,text/plain" onChange={(event) => { void check(event.currentTarget.files?.[0]); event.currentTarget.value = ""; }} />
      </label>
      <p class="problem" role="alert">{problem}</p>
      {checked && (
        <div aria-live="polite">
          <h3>{checked.name}</h3>
          <Findings findings={checked.findings} />
          {checked.findings.length > 0 && <Listing text={checked.text} findings={checked.findings} label={checked.name} />}
        </div>
      )}
    </section>
  );
}

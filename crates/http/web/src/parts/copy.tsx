// Lines to copy, with a button that says whether they were copied.
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "./icon";

async function toClipboard(text: string): Promise<void> {
  // The clipboard's API is there on loopback and with TLS only; elsewhere the old way still works.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

/** `say` is a longer word on the button, where "Copy" alone does not tell what. */
export function CopyButton({ text, label, say }: { text: string; label: string; say?: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  const copy = async (): Promise<void> => {
    await toClipboard(text).then(() => setState("done"), () => setState("failed"));
    setTimeout(() => setState("idle"), 2000);
  };
  return (
    <button type="button" class="small copy" onClick={() => void copy()} aria-label={say ?? `${t("copy")}: ${label}`}>
      <Icon name={state === "done" ? "check" : "copy"} size={14} />
      <span aria-live="polite">{state === "done" ? t("copied") : state === "failed" ? t("copy.failed") : (say ?? t("copy"))}</span>
    </button>
  );
}

export function Lines({ text, label }: { text: string; label: string }) {
  return (
    <div class="lines">
      <pre role="group" tabIndex={0} aria-label={label}><code>{text}</code></pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}

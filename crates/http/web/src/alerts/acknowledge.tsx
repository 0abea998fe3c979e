// Acknowledges an alert, or silences its device and metric for a time. Says what the gateway made of it.
import { useState } from "preact/hooks";
import { api, type Alert } from "../api";
import { dateMinute, millis } from "../format";
import { t, type Key } from "../i18n";
import { canOperate, endsLogin, loadOpenAlerts, openAlerts, session } from "../state";
import { mergeAlert } from "../merge";
import { useStore } from "../store";
import { Icon } from "../parts/icon";

const TIMES: [string, Key][] = [
  ["1h", "time.1h"],
  ["8h", "time.8h"],
  ["1d", "time.1d"],
  ["7d", "time.7d"],
  ["30d", "time.30d"],
];

export function Acknowledge({ alert }: { alert: Alert }) {
  useStore(session);
  const [time, setTime] = useState("30d");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  if (alert.acknowledged) {
    return <p class="acknowledge done"><Icon name="mute" size={15} /> {t("alert.acknowledged", { until: dateMinute(millis(alert.acknowledged.until)) })}</p>;
  }
  if (!alert.can_acknowledge) return <p class="acknowledge quiet small-text">{t("alert.ends_itself")}</p>;
  if (!canOperate()) return <p class="acknowledge quiet small-text">{t("alert.needs_operate")}</p>;

  const send = async (): Promise<void> => {
    if (!alert.device) return;
    setBusy(true);
    setProblem("");
    try {
      const answer = await api.acknowledge({ device: alert.device, ...(alert.metric ? { metric: alert.metric } : {}), for: time });
      for (const row of answer.acknowledged) openAlerts.set((open) => mergeAlert(open, row));
      if (answer.acknowledged.length === 0) setProblem(t("alert.not_acknowledged"));
      await loadOpenAlerts();
    } catch (error) {
      if (!endsLogin(error)) setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="acknowledge">
      <button type="button" class="primary small" disabled={busy} onClick={() => void send()}><Icon name="mute" size={14} /> {t("alert.acknowledge")}</button>
      <label for={`silence-${alert.id}`}>{t("alert.silence")}</label>
      <select id={`silence-${alert.id}`} value={time} onChange={(event) => setTime(event.currentTarget.value)}>
        {TIMES.map(([value, key]) => <option key={value} value={value}>{t(key)}</option>)}
      </select>
      <span class="problem" role="alert">{problem}</span>
    </div>
  );
}

// How bad something is: a colour, an icon and a word together, never colour alone.
import type { DeviceState, Severity } from "../api";
import { t } from "../i18n";
import { Icon, type IconName } from "./icon";

export const SEVERITY_ICON: Record<Severity, IconName> = { critical: "critical", warning: "alert", info: "info" };

export function SeverityMark({ severity, word = true }: { severity: Severity; word?: boolean }) {
  return (
    <span class={`mark ${severity}`}>
      <Icon name={SEVERITY_ICON[severity]} size={16} />
      <span class={word ? "" : "sr"}>{t(`severity.${severity}`)}</span>
    </span>
  );
}

export function StateMark({ state, severity, word = false }: { state: DeviceState; severity?: Severity | undefined; word?: boolean }) {
  if (state === "alert") return <SeverityMark severity={severity ?? "warning"} word={word} />;
  return (
    <span class={`mark ${state}`}>
      <Icon name={state === "ok" ? "check" : "unheard"} size={16} />
      <span class={word ? "" : "sr"}>{t(`device.state.${state}`)}</span>
    </span>
  );
}

// Says to screen readers what has just been raised or cleared.
import { t } from "../i18n";
import { messageOf } from "../alerts/message";
import { useStore } from "../store";
import { newestAlert } from "../state";

export function Announcer() {
  const alert = useStore(newestAlert);
  const words = alert
    ? `${alert.state === "raised" ? t(`severity.${alert.severity}`) : t("alert.cleared")}: ${alert.device ?? alert.zone ?? ""} ${messageOf(alert)}`
    : "";
  return <div class="sr" role="status" aria-live={alert?.severity === "critical" ? "assertive" : "polite"}>{words}</div>;
}

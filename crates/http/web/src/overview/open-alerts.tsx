// The worst open alerts, a line each; the rest is on the alerts page.
import { ago, integer, millis } from "../format";
import { t, tn } from "../i18n";
import { devicePath } from "../router";
import { now, openAlerts } from "../state";
import { useStore } from "../store";
import { SeverityMark } from "../parts/severity";
import { messageOf } from "../alerts/message";
import { Icon } from "../parts/icon";

const MOST = 5;

export function OpenAlerts() {
  const alerts = useStore(openAlerts);
  const time = useStore(now);
  const open = alerts.filter((alert) => !alert.acknowledged);
  return (
    <section class="panel open-alerts" aria-labelledby="open-alerts">
      <h2 id="open-alerts">{t("alerts.title")}</h2>
      {open.length === 0 ? (
        <p class="quiet calm"><span class="mark ok"><Icon name="check" size={16} /></span> {t("alerts.none")}</p>
      ) : (
        <ul>
          {open.slice(0, MOST).map((alert) => (
            <li key={alert.id}>
              <SeverityMark severity={alert.severity} word={false} />
              <span class="what">
                {alert.device ? <a href={devicePath(alert.device, alert.metric)}>{alert.device}</a> : <b>{alert.zone}</b>}{" "}
                <span lang="en">{messageOf(alert)}</span>
              </span>
              <time dateTime={alert.time}>{ago(millis(alert.time), time)}</time>
            </li>
          ))}
        </ul>
      )}
      {alerts.length > 0 && <p class="more"><a href="/alerts">{open.length > MOST ? tn("alerts.all", open.length, integer(open.length)) : t("alerts.see")}</a></p>}
    </section>
  );
}

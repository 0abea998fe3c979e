// Alerts: those open now, live, and those of the past, page by page.
import { useEffect, useState } from "preact/hooks";
import { api, type Alert } from "../api";
import { integer } from "../format";
import { t, tn } from "../i18n";
import { route, setQuery } from "../router";
import { endsLogin, loadOpenAlerts, newestAlert, openAlerts } from "../state";
import { useStore } from "../store";
import { Icon } from "../parts/icon";
import { AlertRow } from "./row";

const PAGE = 50;

/** Alerts that are over, newest first; another page on demand, all anew when one is cleared. */
function usePast(on: boolean) {
  const [past, setPast] = useState<{ alerts: Alert[]; next?: string | undefined } | null>(null);
  const newest = useStore(newestAlert);
  const load = async (after?: string): Promise<void> => {
    try {
      const answer = await api.alerts({ state: "past", limit: PAGE, ...(after ? { after } : {}) });
      setPast((old) => ({ alerts: after && old ? [...old.alerts, ...answer.alerts] : answer.alerts, next: answer.next }));
    } catch (error) {
      endsLogin(error);
    }
  };
  useEffect(() => {
    if (on) void load();
  }, [on, newest?.state === "cleared" ? newest.id : ""]);
  return { past, more: () => void load(past?.next) };
}

function Past() {
  const { past, more } = usePast(true);
  if (!past) return <p class="loading">{t("loading")}</p>;
  if (past.alerts.length === 0) return <p class="panel empty quiet">{t("alerts.no_past")}</p>;
  return (
    <>
      <ul class="alert-list">{past.alerts.map((alert) => <AlertRow key={alert.id} alert={alert} />)}</ul>
      {past.next && <p class="more"><button type="button" onClick={more}>{t("alerts.older")}</button></p>}
    </>
  );
}

function Open() {
  const open = useStore(openAlerts);
  useEffect(() => {
    loadOpenAlerts().catch(endsLogin);
  }, []);
  if (open.length === 0) {
    return (
      <div class="panel empty">
        <span class="mark ok big"><Icon name="check" size={32} /></span>
        <p>{t("alerts.none")}</p>
        <p class="quiet">{t("alerts.none.text")} <code>[alerts.*]</code></p>
      </div>
    );
  }
  return <ul class="alert-list">{open.map((alert) => <AlertRow key={alert.id} alert={alert} />)}</ul>;
}

export function AlertsPage() {
  const past = useStore(route, (where) => where.query.get("show") === "past");
  const count = useStore(openAlerts, (open) => open.length);
  return (
    <section class="alerts" aria-labelledby="alerts">
      <div class="bar">
        <h1 id="alerts" tabIndex={-1}>{t("nav.alerts")}</h1>
        <div class="switch" role="group" aria-label={t("alerts.which")}>
          <button type="button" aria-pressed={!past} onClick={() => setQuery({ show: undefined })}>{t("alerts.open_ones")} <span class="count">{integer(count)}</span></button>
          <button type="button" aria-pressed={past} onClick={() => setQuery({ show: "past" })}>{t("alerts.past_ones")}</button>
        </div>
        {!past && <span class="sr" role="status">{tn("alerts.open", count, integer(count))}</span>}
      </div>
      {past ? <Past /> : <Open />}
    </section>
  );
}

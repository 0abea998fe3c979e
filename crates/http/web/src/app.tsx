// The page's frame: header, navigation, the page that the address names, and announcements for screen readers.
import { useEffect, useRef } from "preact/hooks";
import { t, useLanguage, type Key } from "./i18n";
import { route, type Route } from "./router";
import { useStore } from "./store";
import { connection, loadAll, openAlerts, session } from "./state";
import { closeStream, openStream } from "./stream";
import { Header } from "./parts/header";
import { Announcer } from "./parts/announcer";
import { OverviewPage } from "./overview/page";
import { DevicesPage } from "./devices/page";
import { DevicePage } from "./device/page";
import { AlertsPage } from "./alerts/page";
import { SetupPage } from "./setup/page";
import { LoginPage } from "./login/page";

const TITLES: Record<Route["page"], Key> = {
  overview: "nav.overview",
  devices: "nav.devices",
  device: "nav.devices",
  alerts: "nav.alerts",
  setup: "nav.setup",
  login: "login.title",
  unknown: "page.unknown",
};

function Page({ where }: { where: Route }) {
  switch (where.page) {
    case "overview":
      return <OverviewPage />;
    case "devices":
      return <DevicesPage />;
    case "device":
      return <DevicePage key={where.device} name={where.device} />;
    case "alerts":
      return <AlertsPage />;
    case "setup":
      return <SetupPage />;
    case "login":
      return <LoginPage />;
    case "unknown":
      return (
        <section class="panel empty">
          <h1 tabIndex={-1}>{t("page.unknown")}</h1>
          <p><a href="/">{t("nav.overview")}</a></p>
        </section>
      );
  }
}

/** The heading of a new page gets the focus, so that a screen reader reads on from there. */
function useFocusOnChange(where: Route): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [where.page, where.device]);
}

export function App() {
  const words = useLanguage();
  const where = useStore(route);
  const known = useStore(session);
  const alerts = useStore(openAlerts, (open) => open.length);
  const state = useStore(connection);
  const mustLogin = known !== null && known.login_required && known.role === null;
  const ready = known !== null && !mustLogin;

  useEffect(() => {
    if (!ready) return;
    void loadAll();
    openStream();
    return closeStream;
  }, [ready]);

  useEffect(() => {
    const title = where.page === "device" ? where.device : t(TITLES[where.page]);
    const count = alerts > 0 ? `(${alerts}) ` : "";
    document.title = `${count}${title} · ${known?.gateway ?? "Riser"}`;
  }, [where, alerts, known, words]);
  useFocusOnChange(where);

  return (
    <div class="app" key={words}>
      <a class="skip" href="#main">{t("skip")}</a>
      <Header where={where} signedIn={ready} />
      {state === "lost" && (
        <p class="lost" role="status">{t("connection.lost")}</p>
      )}
      <main id="main" tabIndex={-1}>
        {known === null ? <p class="loading">{t("loading")}</p> : mustLogin ? <LoginPage /> : <Page where={where} />}
      </main>
      <Announcer />
    </div>
  );
}

// The header: name of the gateway, navigation, whether values are live, and the choices of theme and language.
import { integer } from "../format";
import { chooseLanguage, language, LANGUAGES, t, type Key, type Language } from "../i18n";
import type { Route } from "../router";
import { connection, openAlerts, overview, session, loadSession } from "../state";
import { useStore } from "../store";
import { nextTheme, setTheme, theme } from "../theme";
import { api } from "../api";
import { Icon, type IconName } from "./icon";

const PAGES: { path: string; page: Route["page"]; key: Key }[] = [
  { path: "/", page: "overview", key: "nav.overview" },
  { path: "/devices", page: "devices", key: "nav.devices" },
  { path: "/alerts", page: "alerts", key: "nav.alerts" },
  { path: "/setup", page: "setup", key: "nav.setup" },
];

function Navigation({ where }: { where: Route }) {
  const open = useStore(openAlerts, (alerts) => alerts.filter((alert) => !alert.acknowledged).length);
  const worst = useStore(openAlerts, (alerts) => alerts.find((alert) => !alert.acknowledged)?.severity ?? "info");
  const unnamed = useStore(overview, (now) => now?.counts.unnamed ?? 0);
  const badge = (page: Route["page"]) => {
    if (page === "alerts" && open > 0) return <span class={`badge ${worst}`}>{integer(open)}</span>;
    if (page === "setup" && unnamed > 0) return <span class="badge">{integer(unnamed)}</span>;
    return null;
  };
  return (
    <nav aria-label={t("nav.label")}>
      {PAGES.map(({ path, page, key }) => (
        <a key={page} href={path} aria-current={where.page === page || (where.page === "device" && page === "devices") ? "page" : undefined}>
          {t(key)}
          {badge(page)}
        </a>
      ))}
    </nav>
  );
}

const THEME_ICON: Record<string, IconName> = { auto: "auto", light: "sun", dark: "moon" };

function Choices() {
  const chosen = useStore(theme);
  const words = useStore(language);
  const known = useStore(session);
  const logout = async (): Promise<void> => {
    await api.logout().catch(() => undefined);
    await loadSession().catch(() => undefined);
  };
  const label = `${t("theme")}: ${t(`theme.${chosen}`)}`;
  return (
    <div class="choices">
      <select aria-label={t("language")} value={words} onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
        {Object.entries(LANGUAGES).map(([name, own]) => (
          <option key={name} value={name} lang={name}>{own}</option>
        ))}
      </select>
      <button type="button" class="plain" aria-label={label} title={label} onClick={() => setTheme(nextTheme(chosen))}>
        <Icon name={THEME_ICON[chosen] ?? "auto"} />
      </button>
      {known?.login_required && known.role && (
        <button type="button" class="plain" aria-label={t("logout")} title={t("logout")} onClick={() => void logout()}>
          <Icon name="out" />
        </button>
      )}
    </div>
  );
}

export function Header({ where, signedIn }: { where: Route; signedIn: boolean }) {
  const known = useStore(session);
  const state = useStore(connection);
  return (
    <header class="top">
      <a class="brand" href="/">
        <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
          <rect class="mark" width="32" height="32" rx="7" />
          <path class="shaft" d="M10 26V6" />
          <path class="floors" d="M10 23.500h13M10 16h13M10 8.500h13" />
          <circle class="node" cx="10" cy="16" r="3.200" />
        </svg>
        <span class="product">Riser</span>
        {known && <span class="gateway">{known.gateway}</span>}
      </a>
      {signedIn && <Navigation where={where} />}
      <span class="grow" />
      {signedIn && (
        <span class={`live is-${state}`}>
          <i aria-hidden="true" />
          {t(`connection.${state}.short`)}
        </span>
      )}
      <Choices />
    </header>
  );
}

// The login: one password, which says what its owner may do.
import { useState } from "preact/hooks";
import { api, ApiError } from "../api";
import { t } from "../i18n";
import { duration } from "../format";
import { go, route } from "../router";
import { loadSession, session } from "../state";
import { useStore } from "../store";

function failure(error: unknown): string {
  if (!(error instanceof ApiError)) return t("login.unreachable");
  if (error.status === 401) return t("login.wrong");
  if (error.status === 429) return t("login.wait", { time: duration(error.retryAfter ?? 60) });
  return error.message;
}

export function LoginPage() {
  const known = useStore(session);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const login = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await api.login(password);
      await loadSession();
      if (route.get().page === "login") go("/");
    } catch (error) {
      setProblem(failure(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="panel login">
      <h1 tabIndex={-1}>{t("login.title")}</h1>
      <p class="quiet">{t("login.text", { gateway: known?.gateway ?? "Riser" })}</p>
      <form method="post" onSubmit={(event) => void login(event)}>
        <input type="text" name="username" value="riser" autocomplete="username" hidden readOnly />
        <label for="password">{t("login.password")}</label>
        <input id="password" type="password" autocomplete="current-password" required autofocus value={password} aria-invalid={problem !== ""} aria-describedby="login-problem" onInput={(event) => setPassword(event.currentTarget.value)} />
        <p id="login-problem" class="problem" role="alert">{problem}</p>
        <button type="submit" class="primary" disabled={busy}>{t("login.button")}</button>
      </form>
      <p class="quiet small-text">{t("login.help")} <code>sudo riser http enable</code></p>
    </section>
  );
}

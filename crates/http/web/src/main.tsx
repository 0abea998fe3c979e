// Starts the page: language, theme, address, what the gateway says of the session, and the clock of "12 s ago".
import { render } from "preact";
import { App } from "./app";
import { startLanguage } from "./i18n";
import { startRouter } from "./router";
import { startTheme } from "./theme";
import { connection, loadSession, tick } from "./state";
import { startKeys } from "./keys";

startLanguage();
startTheme();
startRouter();
startKeys();
setInterval(tick, 5000);

const root = document.getElementById("app");
if (root) render(<App />, root);

async function start(): Promise<void> {
  try {
    await loadSession();
  } catch {
    connection.set("lost");
    setTimeout(() => void start(), 3000);
  }
}
void start();

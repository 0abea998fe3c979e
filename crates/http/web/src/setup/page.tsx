// Setup: name what was heard, try a codec, see the configuration in force, check another. Nothing is changed from here.
import { t } from "../i18n";
import { session } from "../state";
import { useStore } from "../store";
import { Unnamed } from "./unnamed";
import { CodecTrial } from "./codec";
import { CheckFile, InForce } from "./configuration";

export function SetupPage() {
  const role = useStore(session, (known) => known?.role);
  return (
    <section class="setup" aria-labelledby="setup">
      <div class="bar"><h1 id="setup" tabIndex={-1}>{t("nav.setup")}</h1><p class="quiet">{t("setup.text")}</p></div>
      <Unnamed />
      <div class="two">
        <CodecTrial />
        <CheckFile />
      </div>
      {role === "operate" ? <InForce /> : <p class="panel quiet">{t("config.needs_operate")}</p>}
    </section>
  );
}

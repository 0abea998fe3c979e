// The rules that hold for a device, and its own ledger: what was received, and what was refused for which reason.
import type { DeviceDetail } from "../api";
import { integer } from "../format";
import { known, t } from "../i18n";

export function Rules({ rules }: { rules: DeviceDetail["rules"] }) {
  return (
    <section class="panel" aria-labelledby="rules">
      <h2 id="rules">{t("rules.title")}</h2>
      {rules.length === 0 ? (
        <p class="quiet">{t("rules.none")} <code>[alerts.*]</code></p>
      ) : (
        <dl class="rules">{rules.map((rule) => <div key={rule.name}><dt><code>{rule.name}</code></dt><dd lang="en">{rule.text}</dd></div>)}</dl>
      )}
    </section>
  );
}

export function DeviceLedger({ ledger }: { ledger: DeviceDetail["ledger"] }) {
  const refused = Object.entries(ledger.refused).filter(([, count]) => count > 0);
  return (
    <section class="panel" aria-labelledby="device-ledger">
      <h2 id="device-ledger">{t("ledger.title")}</h2>
      <dl class="pairs">
        <div><dt>{t("ledger.received")}</dt><dd>{integer(ledger.received)}</dd></div>
        {refused.length === 0 ? (
          <div><dt>{t("ledger.refused")}</dt><dd>0</dd></div>
        ) : (
          refused.map(([reason, count]) => <div key={reason} class="bad"><dt>{t("ledger.refused")}: {known(`reason.${reason}`, reason.replaceAll("_", " "))}</dt><dd>{integer(count)}</dd></div>)
        )}
      </dl>
    </section>
  );
}

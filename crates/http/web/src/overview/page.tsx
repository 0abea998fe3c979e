// The overview: is everything well, the building floor by floor, open alerts, connections, the ledger, and the devices.
import { overview } from "../state";
import { useStore } from "../store";
import { t } from "../i18n";
import { DeviceList } from "../devices/list";
import { VerdictPanel } from "./verdict";
import { Building } from "./building";
import { Connections } from "./connections";
import { LedgerPanel } from "./ledger";
import { OpenAlerts } from "./open-alerts";
import { FirstSteps } from "./first-steps";

export function OverviewPage() {
  const now = useStore(overview);
  if (!now) return <p class="loading">{t("loading")}</p>;
  const empty = now.counts.devices === 0;
  return (
    <div class="overview">
      <VerdictPanel overview={now} />
      {empty ? <FirstSteps /> : <Building />}
      <div class="side">
        {!empty && <OpenAlerts />}
        <LedgerPanel ledger={now.ledger} />
        <Connections overview={now} />
      </div>
      {!empty && <DeviceList />}
    </div>
  );
}

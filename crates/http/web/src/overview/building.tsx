// The building drawn as a section: a row a floor, a cell a zone, in the colour and with the sign of its worst alert.
import { useMemo } from "preact/hooks";
import { integer, steady } from "../format";
import { t, tn } from "../i18n";
import { devices, devicesLoaded, now, openAlerts, overview } from "../state";
import { useStore } from "../store";
import { Icon } from "../parts/icon";
import { SEVERITY_ICON } from "../parts/severity";
import { floors, type Cell } from "./floors";

/** More cells than this are small ones, which show their sign only. */
const MANY = 60;

function Zone({ cell, small }: { cell: Cell; small: boolean }) {
  const state = cell.severity ?? (cell.devices > 0 && cell.unheard === cell.devices ? "unheard" : "ok");
  const words = [
    tn("zone.devices", cell.devices, integer(cell.devices)),
    ...(cell.severity ? [t(`severity.${cell.severity}`)] : []),
    ...(cell.unheard > 0 ? [tn("zone.unheard", cell.unheard, integer(cell.unheard))] : []),
  ];
  const heat = cell.temperature === undefined ? "" : `${steady(cell.temperature, 1)}\u202f°C`;
  return (
    <li>
      <a class={`zone ${state}`} href={`/devices?zone=${encodeURIComponent(cell.zone)}`} title={heat ? `${cell.zone} · ${heat}` : cell.zone}>
        <span class="label">{cell.label}</span>
        {!small && <span class="heat">{heat || words[0]}</span>}
        <span class="sr">, {(heat || small ? words : words.slice(1)).join(", ")}</span>
        {cell.severity && <Icon name={SEVERITY_ICON[cell.severity]} size={14} />}
      </a>
    </li>
  );
}

export function Building() {
  const zones = useStore(overview, (state) => state?.zones);
  // Every few seconds, and at once when an alert comes: not with every value of thousands of devices.
  const [time, loaded, alerts] = [useStore(now), useStore(devicesLoaded), useStore(openAlerts)];
  const names = zones?.join("\n");
  const rows = useMemo(() => floors(zones ?? [], devices.get().byName.values()), [time, loaded, alerts, names]);
  if (rows.length === 0) return null;
  const small = rows.reduce((sum, row) => sum + row.cells.length, 0) > MANY;
  return (
    <section class={`panel building ${small ? "many" : ""}`} aria-labelledby="building">
      <h2 id="building">{t("building.title")}</h2>
      <ol>
        {rows.map((row) => (
          <li key={row.name} class="floor">
            <h3>{row.name || t("building.other")}</h3>
            <ul>{row.cells.map((cell) => <Zone key={cell.zone} cell={cell} small={small} />)}</ul>
          </li>
        ))}
      </ol>
    </section>
  );
}

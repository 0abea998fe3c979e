// The ledger as a picture: where every reading went. The list beside the bands has the figures.
import type { Flow, Ledger } from "../api";
import { integer, short, steady } from "../format";
import { known, t } from "../i18n";
import { Icon } from "../parts/icon";
import { outline, picture, type Band } from "./ledger-picture";

const WIDTH = 120;

const name = (band: Band): string =>
  band.name === "dropped" && band.reason !== undefined
    ? band.reason === "" ? t("ledger.others") : known(`reason.${band.reason}`, band.reason.replaceAll("_", " "))
    : t(`ledger.${band.name}`);

const percent = (share: number, count: number): string => {
  if (count === 0) return "";
  const value = share * 100;
  if (value < 0.1) return `< ${steady(0.1, 1)} %`;
  return `${value >= 10 ? integer(value) : steady(value, 1)} %`;
};

export function LedgerPicture({ flow }: { flow: Flow }) {
  const { bands, height } = picture(flow);
  return (
    <div class="ledger-picture">
      <div class="in">
        <b>{short(flow.in)}</b>
        <span>{t("ledger.in")}</span>
      </div>
      <div class={`stem ${flow.in === 0 ? "zero" : ""}`} />
      <svg viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" height={height} aria-hidden="true">
        {bands.map((band, row) => band.count > 0 && <path key={row} class={`band ${band.name}`} d={outline(band, 0, WIDTH)} />)}
      </svg>
      <dl>
        {bands.map((band, row) => (
          <div key={row} class={`${band.name} ${band.count === 0 ? "zero" : ""}`}>
            <dt>{band.name === "dropped" && band.reason && <small>{t("ledger.dropped")}</small>}{name(band)}</dt>
            <dd title={integer(band.count)}>{short(band.count)}<small>{percent(band.share, band.count)}</small></dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

export function LedgerPanel({ ledger }: { ledger: Ledger }) {
  const adapters = Object.entries(ledger.adapters ?? {});
  return (
    <section class="panel ledger" aria-labelledby="ledger">
      <h2 id="ledger">{t("ledger.title")}
        <span class={`note ${ledger.balanced ? "good" : "bad"}`}>
          <Icon name={ledger.balanced ? "check" : "alert"} size={14} /> {ledger.balanced ? t("ledger.balanced") : t("ledger.unbalanced")}
        </span>
      </h2>
      <LedgerPicture flow={ledger} />
      {adapters.length > 1 && (
        <details>
          <summary>{t("ledger.by_adapter")}</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label={t("ledger.by_adapter")}>
            <table class="figures-table">
              <thead><tr><th scope="col">{t("adapter")}</th><th scope="col">{t("ledger.in")}</th><th scope="col">{t("ledger.published")}</th><th scope="col">{t("ledger.open")}</th><th scope="col">{t("ledger.dropped")}</th></tr></thead>
              <tbody>
                {adapters.map(([adapter, flow]) => (
                  <tr key={adapter}>
                    <th scope="row">{adapter}</th>
                    <td>{short(flow.in)}</td>
                    <td>{short(flow.published)}</td>
                    <td>{short(flow.open)}</td>
                    <td>{short(Object.values(flow.dropped).reduce((sum, count) => sum + count, 0))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </section>
  );
}

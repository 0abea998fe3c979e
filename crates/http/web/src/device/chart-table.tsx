// The values of the chart as a table, for those who cannot see it or want the figures: at most a hundred rows.
import { useState } from "preact/hooks";
import type { History } from "../api";
import { dateTime, integer, millis, number } from "../format";
import { t } from "../i18n";
import { stateWord } from "../metrics";

const MOST = 100;

function Rows({ history }: { history: History }) {
  const points = history.points.slice(-MOST).reverse();
  const say = (value: number): string => (history.kind === "state" && (value === 0 || value === 1) ? stateWord(history.metric, value) : number(value));
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label={t("chart.table")}>
      <table class="figures-table">
        <thead><tr><th scope="col">{t("chart.time")}</th><th scope="col">{t("chart.avg")}</th><th scope="col">{t("chart.min")}</th><th scope="col">{t("chart.max")}</th><th scope="col">{t("chart.count")}</th></tr></thead>
        <tbody>
          {points.map((point) => (
            <tr key={point.start}>
              <th scope="row">{dateTime(millis(point.start))}</th>
              <td>{say(point.avg)}</td>
              <td>{say(point.min)}</td>
              <td>{say(point.max)}</td>
              <td>{integer(point.count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function ChartTable({ history }: { history: History }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("chart.table")}</summary>
      {open && <Rows history={history} />}
    </details>
  );
}

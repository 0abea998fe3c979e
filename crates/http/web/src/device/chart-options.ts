// How uPlot draws the chart: bands of min to max and of one deviation, the average, gaps, alerts on the time axis.
import uPlot from "uplot";
import type { MetricKind } from "../api";
import { clock, day, dayKey, gatewayZone, minute, month, steady } from "../format";
import { colour } from "../theme";
import { drawMarks, LANES } from "./chart-marks";
import type { Mark } from "./chart-data";

export interface ChartState {
  marks: Mark[];
  gaps: [number, number][];
  limits: number[];
  kind: MetricKind;
  from: number;
  to: number;
  unit: string;
  word: (value: number) => string;
}

const FONT = '11px Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Labels of the time axis: the clock, and where a day begins the day. */
export function timeLabels(splits: readonly number[], length: number): string[] {
  let last = "";
  return splits.map((seconds) => {
    const ms = seconds * 1000;
    if (length > 300 * 86_400) return month(ms);
    if (length > 12 * 86_400) return day(ms);
    const today = dayKey(ms);
    const first = last !== today;
    const label = length < 300 ? clock(ms) : minute(ms);
    const withDay = first && (last !== "" || length > 43_200);
    last = today;
    // Over some days: the day where it begins, the clock within it.
    if (length > 3 * 86_400) return first ? day(ms) : label;
    return withDay ? `${label}\n${day(ms)}` : label;
  });
}

/** As many digits as the steps between the labels need. */
export const digitsOf = (step: number): number => Math.max(0, -Math.floor(Math.log10(step || 1) + 1e-9));

/** Some room above and below; a state is 0 or 1 with room around. */
function scaleY(state: ChartState, low: number | null, high: number | null): [number, number] {
  if (state.kind === "state") return [-0.15, 1.15];
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const room = (high - low) * 0.08 || Math.max(Math.abs(high) * 0.02, 0.5);
  return [low - room, high + room];
}

export function chartOptions(state: () => ChartState, size: { width: number; height: number }, chosen: (from: number, to: number) => void, moved: (at: number | null) => void): uPlot.Options {
  const [line, wide, near, grid, text] = [colour("line"), colour("band-wide"), colour("band-near"), colour("grid"), colour("ink-2")];
  // A state holds until the next one: steps. Everything else is joined by lines.
  const steps = state().kind === "state" ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
  const hidden = { stroke: "transparent", width: 0, points: { show: false }, ...(steps ? { paths: steps } : {}) };
  const zone = gatewayZone();
  const axis = { font: FONT, stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    ...size,
    padding: [10, 14, 0, 0],
    legend: { show: false },
    // Ticks stand at full hours and midnights of the gateway's zone.
    tzDate: (seconds) => (zone ? uPlot.tzDate(new Date(seconds * 1000), zone) : new Date(seconds * 1000)),
    cursor: {
      y: false,
      points: { size: 9, width: 2, fill: colour("surface") },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: { time: true, range: () => [state().from, state().to] },
      y: { range: (_, low, high) => scaleY(state(), low, high) },
    },
    axes: [
      { ...axis, space: 76, size: 36 + LANES, gap: 6 + LANES, values: (_, splits) => timeLabels(splits, state().to - state().from) },
      { ...axis, size: (_, values) => 14 + 7 * Math.max(3, ...(values ?? []).map((value) => value.length)), gap: 6, splits: state().kind === "state" ? () => [0, 1] : undefined, values: (_, splits, __, ___, step) => splits.map((value) => (state().kind === "state" ? state().word(value) : steady(value, digitsOf(step)))) },
    ],
    series: [
      {},
      { ...hidden },
      { ...hidden },
      { ...hidden },
      { ...hidden },
      { stroke: line, width: 1.75, points: { size: 5, fill: line, stroke: line }, ...(steps ? { paths: steps } : {}) },
    ],
    bands: [
      { series: [2, 1], fill: wide },
      { series: [4, 3], fill: near },
    ],
    hooks: {
      drawClear: [(chart) => drawGaps(chart, state())],
      draw: [(chart) => drawMarks(chart, state())],
      setCursor: [(chart) => moved(chart.cursor.idx ?? null)],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width < 6) return;
          chosen(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** A stretch without readings is hatched, so that it is not taken for a flat line or for a mistake of the chart. */
function drawGaps(chart: uPlot, state: ChartState): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour("hatch");
  ctx.lineWidth = devicePixelRatio;
  for (const [from, to] of state.gaps) {
    const left = chart.valToPos(from, "x", true);
    const right = chart.valToPos(to, "x", true);
    if (right - left < 6) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.beginPath();
    const pace = 9 * devicePixelRatio;
    for (let x = left - bbox.height; x < right; x += pace) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

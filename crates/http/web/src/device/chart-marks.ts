// Alerts and anomalies on the chart: bars in lanes under the plot, limits as dashed lines, a diamond where a value was an anomaly
// and a ring where the model had expected it.
import type uPlot from "uplot";
import { colour } from "../theme";
import type { ChartState } from "./chart-options";

const LANE = 7;
/** Room under the plot for the lanes. */
export const LANES = 3 * LANE;

function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, size: number): void {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
}

function drawLimits(chart: uPlot, state: ChartState): void {
  const { ctx, bbox } = chart;
  ctx.strokeStyle = colour("critical");
  ctx.lineWidth = devicePixelRatio;
  ctx.globalAlpha = 0.75;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const limit of state.limits) {
    const y = chart.valToPos(limit, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

export function drawMarks(chart: uPlot, state: ChartState): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  drawLimits(chart, state);
  for (const { alert, from, to, lane } of state.marks) {
    const left = chart.valToPos(from, "x", true);
    const right = Math.max(left + 5 * ratio, chart.valToPos(to, "x", true));
    const tone = colour(alert.severity);
    // The time of the alert as a light column in the plot, and as a bar in its lane under it.
    ctx.fillStyle = tone;
    ctx.globalAlpha = 0.05;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = alert.acknowledged ? 0.45 : 1;
    ctx.beginPath();
    ctx.roundRect(left, bbox.top + bbox.height + (4 + lane * LANE) * ratio, right - left, (LANE - 2) * ratio, 2 * ratio);
    ctx.fill();
    if (alert.kind !== "anomaly" || alert.value === undefined) continue;
    ctx.globalAlpha = 1;
    const y = chart.valToPos(alert.value, "y", true);
    if (alert.expected !== undefined) {
      const wanted = chart.valToPos((alert.expected[0] + alert.expected[1]) / 2, "y", true);
      ctx.strokeStyle = tone;
      ctx.lineWidth = 1.5 * ratio;
      ctx.setLineDash([2 * ratio, 2 * ratio]);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left, wanted);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.beginPath();
      ctx.arc(left, wanted, 4 * ratio, 0, 2 * Math.PI);
      ctx.fillStyle = colour("surface");
      ctx.fill();
      ctx.stroke();
    }
    diamond(ctx, left, y, 5.5 * ratio);
    ctx.fillStyle = tone;
    ctx.fill();
    ctx.strokeStyle = colour("surface");
    ctx.lineWidth = 1.5 * ratio;
    ctx.stroke();
  }
  ctx.restore();
}

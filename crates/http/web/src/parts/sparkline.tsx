// A small line of the last day: no axes, gaps left open, the last value as a dot.

/** SVG path of the values in a box; null is a gap. Exported for its test. */
export function sparkPath(values: readonly (number | null)[], width: number, height: number): { line: string; last: [number, number] | null } {
  const real = values.filter((value): value is number => value !== null);
  if (real.length === 0) return { line: "", last: null };
  const low = Math.min(...real);
  const high = Math.max(...real);
  const flat = high - low < 1e-9;
  const step = width / Math.max(1, values.length - 1);
  const y = (value: number): number => (flat ? height / 2 : 2 + (height - 4) * (1 - (value - low) / (high - low)));
  let line = "";
  let pen = false;
  let last: [number, number] | null = null;
  values.forEach((value, at) => {
    if (value === null) {
      pen = false;
      return;
    }
    const x = at * step;
    const next = values[at + 1];
    // A single value between gaps is a short dash, else it would not be seen.
    line += `${pen ? "L" : "M"}${x.toFixed(1)} ${y(value).toFixed(1)}`;
    if (!pen && (next === null || next === undefined)) line += "h1";
    pen = true;
    last = [x, y(value)];
  });
  return { line, last };
}

export function Sparkline({ values, width = 96, height = 26, label }: { values: readonly (number | null)[]; width?: number; height?: number; label: string }) {
  const { line, last } = sparkPath(values, width - 6, height);
  return (
    <svg class="spark" width={width} height={height} viewBox={`-2 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={line} />
      {last && <circle cx={last[0]} cy={last[1]} r="2" />}
    </svg>
  );
}

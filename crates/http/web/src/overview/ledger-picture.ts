// The geometry of the ledger's picture: the bar of what came in fans out into one band a way that readings went. Pure.
import type { Flow } from "../api";

export interface Band {
  name: "published" | "queued" | "open" | "dropped" | "missing";
  /** The reason, for what was dropped. */
  reason?: string;
  count: number;
  share: number;
  /** Where the band leaves the bar of what came in, and how thick it is there and at its end. */
  from: { y: number; height: number };
  to: { y: number; height: number };
}
export interface Picture {
  bands: Band[];
  height: number;
}

/** Pixels a row; a band is at least this thick where anything went that way, so that one lost reading is seen. */
const ROW = 34;
const THINNEST = 2;
const THICKEST = ROW - 8;
const MOST_REASONS = 4;

type Part = Pick<Band, "name" | "reason" | "count">;

function parts(flow: Flow): Part[] {
  const reasons = Object.entries(flow.dropped).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const shown: Part[] = reasons.slice(0, MOST_REASONS).map(([reason, count]) => ({ name: "dropped", reason, count }));
  const rest = reasons.slice(MOST_REASONS).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) shown.push({ name: "dropped", reason: "", count: rest });
  if (shown.length === 0) shown.push({ name: "dropped", count: 0 });
  const all: Part[] = [
    { name: "published", count: flow.published },
    { name: "queued", count: flow.queued },
    { name: "open", count: flow.open },
    ...shown,
  ];
  const missing = flow.in - all.reduce((sum, part) => sum + part.count, 0);
  return missing > 0 ? [...all, { name: "missing", count: missing }] : all;
}

const thickness = (share: number, count: number, full: number): number => (count === 0 ? 0 : Math.max(THINNEST, share * full));

export function picture(flow: Flow): Picture {
  const all = parts(flow);
  const total = Math.max(1, flow.in, all.reduce((sum, part) => sum + part.count, 0));
  const height = all.length * ROW;
  const bar = height - 16;
  // The thin bands' least thickness is taken from the thick ones, so that the bar is filled exactly.
  const thick = all.map((part) => thickness(part.count / total, part.count, bar));
  const scale = bar / Math.max(bar, thick.reduce((sum, size) => sum + size, 0));
  let y = 8;
  const bands = all.map((part, row): Band => {
    const share = part.count / total;
    const size = (thick[row] ?? 0) * scale;
    const end = thickness(share, part.count, THICKEST);
    const band: Band = { ...part, share, from: { y, height: size }, to: { y: row * ROW + (ROW - end) / 2, height: end } };
    y += size;
    return band;
  });
  return { bands, height };
}

/** The outline of a band between two x. */
export function outline(band: Band, x0: number, x1: number): string {
  const middle = (x0 + x1) / 2;
  const [a, b] = [band.from.y, band.from.y + band.from.height];
  const [c, d] = [band.to.y, band.to.y + band.to.height];
  const p = (value: number): string => value.toFixed(1);
  return `M${x0} ${p(a)}C${middle} ${p(a)} ${middle} ${p(c)} ${x1} ${p(c)}V${p(d)}C${middle} ${p(d)} ${middle} ${p(b)} ${x0} ${p(b)}Z`;
}

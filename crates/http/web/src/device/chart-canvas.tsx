// Puts uPlot into the page: made once for a theme and kind, given new data and sizes, and removed with the component.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { useStore } from "../store";
import { colours } from "../theme";
import { chartOptions, type ChartState } from "./chart-options";
import type { Columns } from "./chart-data";

interface Props {
  columns: Columns;
  state: ChartState;
  onSelect: (fromMs: number, toMs: number) => void;
  onCursor: (index: number | null) => void;
}

const data = (columns: Columns): uPlot.AlignedData => [columns.x, columns.min, columns.max, columns.low, columns.high, columns.avg];
const HEIGHT = { wide: 340, narrow: 260 };

export function ChartCanvas({ columns, state, onSelect, onCursor }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef({ state, onSelect, onCursor });
  latest.current = { state, onSelect, onCursor };
  const theme = useStore(colours);

  useLayoutEffect(() => {
    const box = host.current;
    if (!box) return;
    const size = () => ({ width: Math.max(200, box.clientWidth), height: box.clientWidth < 600 ? HEIGHT.narrow : HEIGHT.wide });
    const options = chartOptions(() => latest.current.state, size(), (from, to) => latest.current.onSelect(from * 1000, to * 1000), (at) => latest.current.onCursor(at));
    const made = new uPlot(options, data(columns), box);
    chart.current = made;
    const watch = new ResizeObserver(() => made.setSize(size()));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [theme, state.kind]);

  useEffect(() => chart.current?.setData(data(columns), true), [columns, state]);
  return <div class="plot" ref={host} aria-hidden="true" />;
}

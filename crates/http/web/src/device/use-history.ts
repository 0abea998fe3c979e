// Loads the points for the chart: again when the view changes, and now and then while its end is now. New values of the stream
// are put at the end of a view of single readings at once.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type Alert, type DeviceDelta, type History } from "../api";
import { endsLogin, newestAlert, overview, now } from "../state";
import { onDeltas } from "../stream";
import { useStore } from "../store";
import { span, type View } from "./zoom";

export interface Shown {
  history: History;
  alerts: Alert[];
  from: number;
  to: number;
}

/** The history with a newer reading at its end, for single readings only; windows come with the next fetch. */
export function appendReading(history: History, delta: DeviceDelta): History {
  const part = delta.metrics[history.metric];
  const last = history.points.at(-1);
  if (!part || history.source !== "recent" || (last && last.start >= part.time)) return history;
  const { time, value } = part;
  return { ...history, points: [...history.points, { start: time, end: time, avg: value, min: value, max: value, std: 0, count: 1 }] };
}

/** How often a moving view is fetched again: a tenth of a bucket would be waste, a whole one late. */
const refresh = (history: History): number => (history.source === "recent" ? 15_000 : Math.min(60_000, Math.max(10_000, history.step / 2)));

export function useHistory(device: string, metric: string, view: View, points: number): { shown: Shown | null; problem: string; busy: boolean } {
  const [shown, setShown] = useState<Shown | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(true);
  const oldest = useStore(overview, (state) => state?.history?.from);
  const alert = useStore(newestAlert, (newest) => (newest?.device === device ? newest : null));
  const key = JSON.stringify(view);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  useEffect(() => {
    const stop = new AbortController();
    const load = async (): Promise<void> => {
      const time = now.get();
      const { from, to } = span(view, time, oldest ? Date.parse(oldest) : undefined);
      const [start, end] = [new Date(from).toISOString(), new Date(to).toISOString()];
      try {
        const [history, alerts] = await Promise.all([
          api.history(device, { metric, from: start, to: end, points }, stop.signal),
          api.alerts({ state: "all", device, from: start, to: end, limit: 200 }),
        ]);
        if (stop.signal.aborted) return;
        setShown({ history, alerts: alerts.alerts.filter((one) => !one.metric || one.metric === metric), from, to });
        setProblem("");
        if ("range" in view) timer.current = setTimeout(() => void load(), refresh(history));
      } catch (error) {
        if (stop.signal.aborted || endsLogin(error)) return;
        setProblem(error instanceof ApiError || error instanceof Error ? error.message : String(error));
        timer.current = setTimeout(() => void load(), 10_000);
      } finally {
        if (!stop.signal.aborted) setBusy(false);
      }
    };
    setBusy(true);
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer.current);
    };
  }, [device, metric, key, oldest === undefined, points, alert]);

  useEffect(
    () =>
      onDeltas((deltas) => {
        const delta = deltas.find((part) => part.name === device);
        if (!delta || !("range" in view)) return;
        setShown((old) => {
          if (!old) return old;
          const history = appendReading(old.history, delta);
          if (history === old.history) return old;
          const moved = Math.max(0, Date.parse(delta.last_heard) - old.to);
          return { ...old, history, from: old.from + moved, to: old.to + moved };
        });
      }),
    [device, key],
  );
  return { shown, problem, busy };
}

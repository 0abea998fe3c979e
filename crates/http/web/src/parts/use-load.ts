// Loads something for a component: at its start, when a key changes, and again when asked. An old answer never wins.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { endsLogin } from "../state";

export interface Loaded<T> {
  value: T | null;
  error: string | null;
  again: () => void;
}

export function useLoad<T>(load: () => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = useState<{ value: T | null; error: string | null }>({ value: null, error: null });
  const turn = useRef(0);
  const latest = useRef(load);
  latest.current = load;
  const again = useCallback(() => {
    const mine = (turn.current += 1);
    latest.current().then(
      (value) => mine === turn.current && setState({ value, error: null }),
      (error: unknown) => {
        if (mine !== turn.current || endsLogin(error)) return;
        setState((old) => ({ value: old.value, error: error instanceof Error ? error.message : String(error) }));
      },
    );
  }, []);
  useEffect(() => {
    again();
    return () => {
      turn.current += 1;
    };
  }, [key, again]);
  return { ...state, again };
}

// A store: one value, its listeners, and a hook that draws a component again when the selected part of it changes.
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(next: T | ((now: T) => T)): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      const changed = typeof next === "function" ? (next as (now: T) => T)(value) : next;
      if (Object.is(changed, value)) return;
      value = changed;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore<T>(store: Store<T>): T;
export function useStore<T, S>(store: Store<T>, select: (value: T) => S): S;
export function useStore<T, S>(store: Store<T>, select?: (value: T) => S): T | S {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const pick = select ?? ((value: T): T | S => value);
  const selected = pick(store.get());
  const latest = useRef({ pick, selected });
  latest.current = { pick, selected };
  useLayoutEffect(() => {
    const look = (): void => {
      if (!Object.is(latest.current.pick(store.get()), latest.current.selected)) draw(0);
    };
    look();
    return store.subscribe(look);
  }, [store]);
  return selected;
}

// Follows the scrolling of the whole page and says which rows of a list are on the screen, and whether they fly past too fast to
// be read: then rows are drawn without their details, which come when the list slows down.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { sameRange, visibleRows, type Range } from "./window";

const NARROW = "(max-width: 719px)";
export const ROW_WIDE = 46;
export const ROW_NARROW = 66;

/** The height of a row, which the styles have too, by the width of the page. */
export function useRowHeight(): number {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useLayoutEffect(() => {
    const query = matchMedia(NARROW);
    const look = (): void => setNarrow(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, []);
  return narrow ? ROW_NARROW : ROW_WIDE;
}

/** More than this many rows in one frame is fast: no value can be read then. */
const FAST = 1.2;
const CALM_MS = 120;

export function useWindow(body: RefObject<HTMLElement | null>, row: number, count: number): Range & { fast: boolean } {
  const [range, setRange] = useState<Range>({ first: 0, end: Math.min(count, 30) });
  const [fast, setFast] = useState(false);
  const latest = useRef(range);
  const last = useRef(0);
  useLayoutEffect(() => {
    let frame = 0;
    let calm: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      frame = 0;
      if (!body.current) return;
      const scrolled = -body.current.getBoundingClientRect().top;
      const next = visibleRows(scrolled, innerHeight, row, count);
      if (Math.abs(scrolled - last.current) > row * FAST && latest.current.end > 0) {
        setFast(true);
        clearTimeout(calm);
        calm = setTimeout(() => setFast(false), CALM_MS);
      }
      last.current = scrolled;
      if (sameRange(next, latest.current)) return;
      latest.current = next;
      setRange(next);
    };
    const later = (): void => {
      if (frame === 0) frame = requestAnimationFrame(look);
    };
    if (body.current) last.current = -body.current.getBoundingClientRect().top;
    look();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(calm);
      setFast(false);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [body, row, count]);
  return { first: Math.min(range.first, count), end: Math.min(range.end, count), fast };
}

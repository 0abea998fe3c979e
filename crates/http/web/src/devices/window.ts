// Which rows of a long list are drawn: those on the screen, and a few more on both sides. Pure.

export interface Range {
  first: number;
  /** One past the last. */
  end: number;
}

export function visibleRows(scrolled: number, viewport: number, row: number, count: number, more = 6): Range {
  const first = Math.max(0, Math.floor(scrolled / row) - more);
  const end = Math.min(count, Math.ceil((scrolled + viewport) / row) + more);
  return { first: Math.min(first, count), end: Math.max(end, Math.min(first, count)) };
}

export const sameRange = (a: Range, b: Range): boolean => a.first === b.first && a.end === b.end;

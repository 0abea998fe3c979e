// The list of devices: thousands of rows, of which only those on the screen exist. Arrow keys move between rows.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { integer } from "../format";
import { t, tn, useLanguage, type Key } from "../i18n";
import { setQuery } from "../router";
import { devices, devicesLoaded, now } from "../state";
import { useStore } from "../store";
import { Filters, useFilter } from "./filters";
import { isFiltered, select, type Column, type Order } from "./query";
import { Row } from "./row";
import { sparks, wantSparks } from "./sparks";
import { useRowHeight, useWindow } from "./use-window";

const HEADS: [name: string, key: Key, column?: Column][] = [
  ["state", "column.state"],
  ["name", "column.device", "name"],
  ["values", "column.values"],
  ["spark", "column.day"],
  ["heard", "column.heard", "heard"],
  ["battery", "column.battery", "battery"],
  ["link", "column.link"],
  ["protocol", "column.protocol"],
];

function Head({ order, choose }: { order: Order; choose: (order: Order) => void }) {
  return (
    <div role="row" class="head" aria-rowindex={1}>
      {HEADS.map(([name, key, column]) => {
        const sorted = column === order.column;
        return (
          <span key={name} role="columnheader" class={`c-${name}`} aria-sort={column ? (sorted ? (order.down ? "descending" : "ascending") : "none") : undefined}>
            {column ? (
              <button type="button" onClick={() => choose({ column, down: sorted && !order.down })}>
                {t(key)}<i aria-hidden="true">{sorted ? (order.down ? "↓" : "↑") : ""}</i>
              </button>
            ) : (
              <span class={name === "state" ? "sr" : ""}>{t(key)}</span>
            )}
          </span>
        );
      })}
    </div>
  );
}

const MOVES: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

export function DeviceList({ heading = 2 }: { heading?: 1 | 2 }) {
  useLanguage();
  const known = useStore(devices);
  const loaded = useStore(devicesLoaded);
  const lines = useStore(sparks);
  const time = useStore(now);
  const filter = useFilter();
  const [order, setOrder] = useState<Order>({ column: "name", down: false });
  const [active, setActive] = useState(0);
  const body = useRef<HTMLDivElement>(null);
  const height = useRowHeight();
  const found = useMemo(() => select(known.byName.values(), filter, order), [known, filter, order]);
  const range = useWindow(body, height, found.length);
  const shown = found.slice(range.first, range.end);
  const names = shown.map((device) => device.name);

  useEffect(() => wantSparks(names), [names.join("\n")]);
  const slots = useSlots(range.end - range.first);
  const keepFocus = useKeptFocus(body);

  const move = (event: KeyboardEvent): void => {
    const by = MOVES[event.key];
    if (by === undefined || !(event.target instanceof HTMLElement) || event.target.dataset["row"] === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(found.length - 1, Number(event.target.dataset["row"]) + by));
    setActive(next);
    reveal(body.current, next * height, height);
    focusRow(body, next, 20);
  };

  // A row off the screen cannot take the focus: then the first on the screen does.
  const reachable = active >= range.first && active < range.end ? active : range.first;
  const Title = `h${heading}` as "h1" | "h2";
  return (
    <section class="panel devices" aria-labelledby="devices">
      <div class="bar">
        <Title id="devices" tabIndex={-1}>{t("devices.title")}
          <span class="count" role="status">{isFiltered(filter) ? t("devices.some", { n: integer(found.length), total: integer(known.byName.size) }) : tn("devices.count", found.length, integer(found.length))}</span>
        </Title>
        <Filters filter={filter} />
      </div>
      <div role="grid" class="grid" aria-labelledby="devices" aria-rowcount={found.length + 1} aria-colcount={HEADS.length} onKeyDown={move} onFocusIn={keepFocus}>
        <Head order={order} choose={setOrder} />
        <div ref={body} role="rowgroup" class="rows" style={{ height: `${found.length * height}px` }}>
          {shown.map((device, at) => (
            <Row key={(range.first + at) % slots} plain={range.fast} device={device} index={range.first + at} height={height} spark={lines.get(device.name)} now={time} active={range.first + at === reachable} />
          ))}
        </div>
      </div>
      {found.length === 0 && (
        <p class="empty quiet">
          {!loaded ? t("loading") : isFiltered(filter) ? <>{t("devices.no_match")} <button type="button" class="small" onClick={() => setQuery({ q: undefined, zone: undefined, protocol: undefined, state: undefined })}>{t("devices.show_all")}</button></> : t("devices.none")}
        </p>
      )}
    </section>
  );
}

/** Rows are elements that are used again for other devices, as many as were ever needed at once: making new ones is too slow. */
function useSlots(needed: number): number {
  const most = useRef(1);
  most.current = Math.max(most.current, needed);
  return most.current;
}

/** The focus belongs to a device, not to the element that shows it: it follows the device to its new row, or goes. */
function useKeptFocus(body: { current: HTMLElement | null }): (event: FocusEvent) => void {
  const focused = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    const at = document.activeElement;
    if (!(at instanceof HTMLElement) || !body.current?.contains(at) || at.dataset["name"] === focused.current) return;
    const links = body.current.querySelectorAll<HTMLElement>("[data-name]");
    const link = [...links].find((one) => one.dataset["name"] === focused.current);
    if (link) link.focus({ preventScroll: true });
    else at.blur();
  });
  return (event) => {
    if (event.target instanceof HTMLElement && event.target.dataset["name"] !== undefined) focused.current = event.target.dataset["name"];
  };
}

/** Scrolls the page until the row is between the bars at its top and bottom. */
function reveal(body: HTMLElement | null, top: number, height: number): void {
  if (!body) return;
  const at = body.getBoundingClientRect().top + top;
  const [upper, lower] = [170, innerHeight - 80];
  if (at < upper) scrollBy(0, at - upper);
  else if (at + height > lower) scrollBy(0, at + height - lower);
}

/** The row may not be drawn yet: it is looked for in the next frames. */
function focusRow(body: { current: HTMLElement | null }, row: number, tries: number): void {
  const link = body.current?.querySelector<HTMLElement>(`[data-row="${row}"]`);
  if (link) link.focus({ preventScroll: true });
  else if (tries > 0) requestAnimationFrame(() => focusRow(body, row, tries - 1));
}

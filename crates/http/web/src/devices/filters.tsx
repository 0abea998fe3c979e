// Search and filters of the list; they stand in the address, so that a filtered list can be kept and sent.
import { useMemo } from "preact/hooks";
import { t, type Key } from "../i18n";
import { route, setQuery } from "../router";
import { devices, overview } from "../state";
import { useStore } from "../store";
import { SEARCH_ID } from "../keys";
import { Icon } from "../parts/icon";
import { protocols, type Filter } from "./query";

export function useFilter(): Filter {
  const query = useStore(route, (where) => where.query);
  const part = (name: string): string => query.get(name) ?? "";
  const [search, zone, protocol, state] = [part("q"), part("zone"), part("protocol"), part("state")];
  return useMemo(() => ({ search, zone, protocol, state }), [search, zone, protocol, state]);
}

const STATES: [string, Key][] = [
  ["alert", "device.state.alert"],
  ["ok", "device.state.ok"],
  ["unheard", "device.state.unheard"],
  ["unnamed", "device.unnamed"],
];

function Choice({ label, value, name, options }: { label: string; value: string; name: string; options: [value: string, word: string][] }) {
  return (
    <select aria-label={label} value={value} class={value ? "chosen" : ""} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
      <option value="">{label}</option>
      {options.map(([option, word]) => <option key={option} value={option}>{word}</option>)}
    </select>
  );
}

/** "floor-1" itself, then its zones. */
export function zoneOptions(zones: readonly string[]): [string, string][] {
  const all = new Set<string>();
  for (const zone of zones) {
    const cut = zone.indexOf("/");
    if (cut > 0) all.add(zone.slice(0, cut));
    all.add(zone);
  }
  const collator = new Intl.Collator("en", { numeric: true });
  return [...all].sort(collator.compare).map((zone) => [zone, zone.includes("/") ? `\u2003${zone.slice(zone.indexOf("/") + 1)}` : zone]);
}

export function Filters({ filter }: { filter: Filter }) {
  const zones = useStore(overview, (now) => now?.zones);
  const count = useStore(devices, (known) => known.byName.size);
  const kinds = useMemo(() => protocols(devices.get().byName.values()), [count]);
  const places = useMemo(() => zoneOptions(zones ?? []), [zones]);
  return (
    <div class="filters" role="search">
      <div class="search">
        <Icon name="search" size={16} />
        <input id={SEARCH_ID} type="search" value={filter.search} placeholder={t("devices.search")} aria-label={t("devices.search")} aria-keyshortcuts="/" autocomplete="off" spellcheck={false} onInput={(event) => setQuery({ q: event.currentTarget.value })} />
        <kbd aria-hidden="true">/</kbd>
      </div>
      <Choice label={t("devices.zone")} name="zone" value={filter.zone} options={places} />
      <Choice label={t("devices.protocol")} name="protocol" value={filter.protocol} options={kinds.map((kind) => [kind, kind])} />
      <Choice label={t("devices.state")} name="state" value={filter.state} options={STATES.map(([state, key]) => [state, t(key)])} />
    </div>
  );
}

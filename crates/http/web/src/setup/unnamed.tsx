// Devices that were heard but have no [devices.*] table: give a name and a zone, copy the table.
import { useMemo, useState } from "preact/hooks";
import type { Device } from "../api";
import { ago, integer, millis } from "../format";
import { t, tn } from "../i18n";
import { devicePath } from "../router";
import { devices, devicesLoaded, now, overview } from "../state";
import { useStore } from "../store";
import { Icon } from "../parts/icon";
import { CopyButton, Lines } from "../parts/copy";
import { metricName, rowMetrics, withUnit } from "../metrics";
import { snippet, suggestName } from "./snippet";

const MOST = 20;
type Wish = { name: string; zone: string };

function Entry({ device, wish, change }: { device: Device; wish: Wish; change: (wish: Wish) => void }) {
  const time = useStore(now);
  const address = device.address ?? device.name;
  const text = snippet({ ...wish, address, ...(device.protocol ? { protocol: device.protocol } : {}) });
  const id = `unnamed-${device.name.replace(/\W/g, "-")}`;
  return (
    <li class="unnamed">
      <div class="who">
        <a href={devicePath(device.name)}>{device.name}</a>
        <span class="quiet">{device.protocol}{device.last_heard && <> · {ago(millis(device.last_heard), time)}</>}</span>
        <span class="quiet">{rowMetrics(device, 3).map((metric) => `${metricName(metric)} ${withUnit(metric, device.metrics[metric]!)}`).join(" · ")}</span>
      </div>
      <div class="wishes">
        <label for={`${id}-name`}>{t("setup.name")}</label>
        <input id={`${id}-name`} value={wish.name} spellcheck={false} autocomplete="off" onInput={(event) => change({ ...wish, name: event.currentTarget.value })} />
        <label for={`${id}-zone`}>{t("setup.zone")}</label>
        <input id={`${id}-zone`} value={wish.zone} list="zones" placeholder="floor-1/lounge" spellcheck={false} autocomplete="off" onInput={(event) => change({ ...wish, zone: event.currentTarget.value })} />
      </div>
      <Lines text={text} label={`[devices.${wish.name}]`} />
    </li>
  );
}

export function Unnamed() {
  const known = useStore(devices);
  const loaded = useStore(devicesLoaded);
  const zones = useStore(overview, (state) => state?.zones);
  const [wishes, setWishes] = useState<Record<string, Wish>>({});
  const [more, setMore] = useState(MOST);
  // The list stays as it is while values move: only which devices have no name matters.
  const names = [...known.byName.values()].filter((device) => !device.named).map((device) => device.name).join("\n");
  const found = useMemo(() => names.split("\n").filter(Boolean), [names]);
  const wish = (device: Device): Wish => wishes[device.name] ?? { name: suggestName(device.address ?? device.name, device.protocol), zone: device.zone ?? "" };
  const all = found.map((name) => known.byName.get(name)!).map((device) => snippet({ ...wish(device), address: device.address ?? device.name, ...(device.protocol ? { protocol: device.protocol } : {}) })).join("\n");
  return (
    <section class="panel" aria-labelledby="unnamed">
      <h2 id="unnamed">{t("setup.unnamed")} <span class="count">{integer(found.length)}</span>
        {found.length > 1 && <span class="note"><CopyButton text={all} label="" say={tn("setup.all", found.length, integer(found.length))} /></span>}
      </h2>
      {!loaded ? <p class="loading">{t("loading")}</p> : found.length === 0 ? (
        <p class="quiet calm"><span class="mark ok"><Icon name="check" size={16} /></span> {t("setup.all_named")}</p>
      ) : (
        <>
          <p class="quiet">{t("setup.unnamed.text")}</p>
          <datalist id="zones">{zones?.map((zone) => <option key={zone} value={zone} />)}</datalist>
          <ul class="unnamed-list">
            {found.slice(0, more).map((name) => {
              const device = known.byName.get(name)!;
              return <Entry key={name} device={device} wish={wish(device)} change={(changed) => setWishes((old) => ({ ...old, [name]: changed }))} />;
            })}
          </ul>
          {found.length > more && <p class="more"><button type="button" onClick={() => setMore(more + 50)}>{tn("setup.more", found.length - more, integer(found.length - more))}</button></p>}
        </>
      )}
    </section>
  );
}

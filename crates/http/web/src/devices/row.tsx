// One row of the list of devices. It is drawn again only when its own device, sparkline or place changes.
import { Component } from "preact";
import type { Device } from "../api";
import { ago, millis } from "../format";
import { t } from "../i18n";
import { devicePath } from "../router";
import { Icon } from "../parts/icon";
import { Sparkline } from "../parts/sparkline";
import { StateMark } from "../parts/severity";
import { metricName, rowMetrics, shown, shownUnit } from "../metrics";
import type { Spark } from "./sparks";

export interface RowProps {
  device: Device;
  index: number;
  height: number;
  spark: Spark | undefined;
  now: number;
  active: boolean;
  /** Without values and sparkline, while the list flies past. */
  plain: boolean;
}

function Values({ device }: { device: Device }) {
  return (
    <>
      {rowMetrics(device, 3).map((metric) => {
        const value = device.metrics[metric]!;
        return (
          <span key={metric} class={`value ${value.raised ?? ""}`}>
            <small>{metricName(metric)}</small>
            <b>{shown(metric, value.value, value.kind, value.unit)}<i>{shownUnit(value.unit, value.kind)}</i></b>
          </span>
        );
      })}
    </>
  );
}

function Battery({ percent }: { percent: number }) {
  const level = percent <= 10 ? "empty" : percent <= 25 ? "low" : "full";
  return (
    <span class={`battery ${level}`} title={t("battery.percent", { n: Math.round(percent) })}>
      <svg width="22" height="12" viewBox="0 0 22 12" aria-hidden="true">
        <rect class="case" x=".75" y=".75" width="17.500" height="10.500" rx="2.500" />
        <rect class="charge" x="2.500" y="2.500" width={(14 * Math.min(100, Math.max(0, percent))) / 100} height="7" rx="1" />
        <path class="pole" d="M20 4v4" />
      </svg>
      {Math.round(percent)}<span class="sr"> %</span>
    </span>
  );
}

/** 0 to 4 bars, from what the link tells. */
export function bars(link: NonNullable<Device["link"]>): number {
  if (link.linkquality !== undefined) return Math.min(4, Math.ceil(link.linkquality / 64));
  if (link.rssi !== undefined) return Math.max(0, Math.min(4, Math.round((link.rssi + 115) / 14)));
  return link.snr === undefined ? 0 : Math.max(0, Math.min(4, Math.round((link.snr + 15) / 6)));
}

export function Link({ link }: { link: NonNullable<Device["link"]> }) {
  const count = bars(link);
  const words = [link.rssi !== undefined && `RSSI ${link.rssi} dBm`, link.snr !== undefined && `SNR ${link.snr} dB`, link.linkquality !== undefined && `LQI ${link.linkquality}`].filter(Boolean).join(", ");
  return (
    <span class="signal" title={words}>
      <svg width="18" height="14" viewBox="0 0 18 14" aria-hidden="true">
        {[0, 1, 2, 3].map((bar) => <rect key={bar} class={bar < count ? "on" : ""} x={bar * 4.5} y={10 - bar * 3} width="3" height={4 + bar * 3} rx="1" />)}
      </svg>
      <span class="sr">{words}</span>
    </span>
  );
}

export class Row extends Component<RowProps> {
  /** The device whose details are drawn: they stay, also when the list begins to fly. */
  private detailed = "";

  override shouldComponentUpdate(next: RowProps): boolean {
    const now = this.props;
    return next.device !== now.device || next.index !== now.index || next.spark !== now.spark || next.now !== now.now || next.active !== now.active || (now.plain && !next.plain) || next.height !== now.height;
  }

  override render() {
    const { device, index, spark, now, active, height } = this.props;
    const plain = this.props.plain && this.detailed !== device.name;
    this.detailed = plain ? "" : device.name;
    const metric = spark?.metric;
    return (
      <div role="row" class={`row is-${device.state} ${device.severity ?? ""}`} aria-rowindex={index + 2} style={{ transform: `translateY(${index * height}px)` }}>
        <span role="gridcell" class="c-state"><StateMark state={device.state} severity={device.severity} /></span>
        <span role="gridcell" class="c-name">
          <a href={devicePath(device.name)} tabIndex={active ? 0 : -1} data-row={index} data-name={device.name}>{device.name}</a>
          <small>{device.zone ?? (device.named ? "" : t("device.unnamed"))}</small>
        </span>
        <span role="gridcell" class="c-values">{!plain && <Values device={device} />}</span>
        <span role="gridcell" class="c-spark">
          {!plain && spark && spark.values.length > 0 && <Sparkline values={spark.values} label={t("spark.label", { metric: metric ? metricName(metric) : "" })} />}
        </span>
        <span role="gridcell" class="c-heard">{device.last_heard ? ago(millis(device.last_heard), now) : t("device.never")}</span>
        <span role="gridcell" class="c-battery">{!plain && device.battery !== undefined && <Battery percent={device.battery} />}</span>
        <span role="gridcell" class="c-link">{!plain && device.link && <Link link={device.link} />}</span>
        <span role="gridcell" class="c-protocol">{device.protocol}</span>
        <span class="c-go" aria-hidden="true"><Icon name="next" size={14} /></span>
      </div>
    );
  }
}

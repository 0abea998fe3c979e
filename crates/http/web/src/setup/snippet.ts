// The [devices.*] table for a device that has no name yet, ready to be pasted into gateway.toml. Pure.

const BARE = /^[A-Za-z0-9_-]+$/;

/** A TOML basic string. */
export function quote(text: string): string {
  const escaped = text.replace(/[\\"]/g, (sign) => `\\${sign}`).replace(/[\u0000-\u001f\u007f]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `"${escaped}"`;
}

export const key = (name: string): string => (BARE.test(name) ? name : quote(name));

/** A name that is a bare key: "A4:C1:38:8D:18:B2" of BLE becomes "ble-8d18b2", "kitchen/plug 3" becomes "kitchen-plug-3". */
export function suggestName(address: string, protocol: string | undefined): string {
  const hex = address.replace(/[:\-]/g, "").toLowerCase();
  if (/^[0-9a-f]{12}$|^[0-9a-f]{16}$/.test(hex)) return `${protocol ?? "device"}-${hex.slice(-6)}`;
  const name = address.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9_]+/g, "-").replace(/^-+|-+$/g, "");
  return name || "device";
}

export interface Wish {
  name: string;
  address: string;
  zone: string;
  protocol?: string;
}

export function snippet({ name, address, zone, protocol }: Wish): string {
  const lines = [`[devices.${key(name)}]`, `address = ${quote(address)}`];
  if (zone) lines.push(`zone    = ${quote(zone)}`);
  if (protocol === "lorawan") lines.push(`# codec = "cayenne-lpp"               # or a file: "codecs/am307.js"`);
  return `${lines.join("\n")}\n`;
}

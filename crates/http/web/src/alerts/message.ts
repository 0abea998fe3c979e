// The gateway's message of an alert, where the device's name stands beside it: it need not be said twice. Pure.
import type { Alert } from "../api";

export function messageOf(alert: Pick<Alert, "message" | "device">): string {
  const { message, device } = alert;
  return device && message.startsWith(`${device} `) ? message.slice(device.length + 1) : message;
}

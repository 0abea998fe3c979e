// All devices, with the whole width for the list.
import { DeviceList } from "./list";
import { overview } from "../state";
import { useStore } from "../store";
import { FirstSteps } from "../overview/first-steps";

export function DevicesPage() {
  const empty = useStore(overview, (now) => now?.counts.devices === 0);
  return (
    <>
      <DeviceList heading={1} />
      {empty && <FirstSteps />}
    </>
  );
}

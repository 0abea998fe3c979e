"""One run: faults on all servers and kills of the gateway under load, then everything is healed, and what arrived is counted."""

import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import faults
from gateway import Riser, config
from peers import Mosquitto, wait_until
from sink_chaos import databases, targets
from sink_chaos.content import Row, agree, judge
from sink_chaos.load import ALERT, Load

KINDS = {
    "influxdb": databases.Influx,
    "postgres": databases.Postgres,
    "mongodb": databases.Mongo,
    "nats": targets.Nats,
    "kafka": targets.Kafka,
    "http": targets.Http,
    "upstream": targets.Upstream,
    "file": targets.File,
}
# The longest pause between two attempts is 60 s, the longest wait for an answer 30 s.
DRAIN = 150.0
MOMENT_TIMEOUT = 1.0


class Failed(AssertionError):
    """Carries the whole report."""


class Run:
    """`show` gets a line of text for each thing that happens."""

    def __init__(self, folder, schedule, show=lambda line: None):
        self.folder, self.schedule = folder, schedule
        self.happened, self.kills, self.events = [], 0, 0
        self.healed = {}
        self._show = show
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._failed = threading.Event()
        self._open = contextlib.ExitStack()

    def go(self):
        """Returns the summary of a run without findings, as text."""
        try:
            with self._open:
                self._start()
                self._break()
                return self._judge(self._drain())
        except Exception as error:
            plan = "\n".join([*self.happened, "", f"Kept: {self.folder}"])
            again = f"Again: --seed {self.schedule.seed} --kills {self.schedule.kills} --sinks {','.join(self.schedule.sinks)}"
            raise Failed(f"{type(error).__name__}: {error}\n\nWhat happened:\n{plan}\n{again}") from error
        finally:
            (self.folder / "happened").write_text("".join(f"{line}\n" for line in self.happened))

    def _note(self, text):
        with self._lock:
            self.happened.append(f"{time.monotonic() - self._began:8.2f} {text}")
            self._show(self.happened[-1])

    # The start.

    def _keep(self, thing):
        self._open.callback(thing.close)
        return thing

    def _start(self):
        floor = self._keep(Mosquitto(self.folder / "floor", persistent=True, log="error warning notice information"))
        floor.start()
        servers = [sink for sink in self.schedule.sinks if sink != "file"]
        self.targets = {sink: self._keep(KINDS[sink](self.folder / sink)) for sink in servers}
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda target: target.start(), self.targets.values()))
        self.gateway = self._keep(Riser(self.folder / "riser", ""))
        disk = faults.Disk(faults.build(self.folder), self.gateway.data_dir, self.folder)
        if "file" in self.schedule.sinks:
            self.targets["file"] = targets.File(disk, self.gateway.data_dir)
            self.gateway.env |= disk.env
        self.gateway.write(self._config(floor))
        self.gateway.start()
        self.gateway.wait_log("connected and subscribed", 30)
        self.load = self._keep(Load(floor.port))
        self._note(f"{len(self.targets)} sinks: {', '.join(self.targets)}")
        self._began = time.monotonic()

    def _config(self, floor):
        upstream = self.targets.get("upstream")
        tables = [target.table() for target in self.targets.values() if target is not upstream]
        return config(
            floor=floor.port,
            cloud=upstream and upstream.proxy.port,
            upstream=upstream.upstream() if upstream else "",
            # Nothing may be late: what waited for a killed gateway comes with its old times.
            aggregate='window = "1s"\nlateness = "300ms"',
            more="\n\n".join([*tables, ALERT]),
        )

    # Faults.

    def _break(self):
        """Each target has a thread, so that a server that takes long to start puts off its own faults only."""
        plans = [(self._kill_gateway, self.schedule.gateway)]
        plans += [(self._break_sink, self.schedule.of[sink]) for sink in self.schedule.sinks]
        with ThreadPoolExecutor(len(plans)) as pool:
            try:
                for done in [pool.submit(self._follow, act, plan) for act, plan in plans]:
                    done.result()
            except BaseException:
                self._failed.set()
                raise

    def _follow(self, act, plan):
        put_off = 0.0
        try:
            for fault in plan:
                late = time.monotonic() - (self._began + put_off + fault.at)
                put_off += max(0.0, late - 0.2)
                if self._failed.wait(max(0.0, -late)):
                    return
                act(fault)
        except BaseException:
            self._failed.set()
            raise

    def _kill_gateway(self, fault):
        process = self.gateway.process
        assert process.poll() is None, f"the gateway has ended by itself, exit code {process.returncode}"
        moment, *which = fault.detail
        proxies = [target.proxy for target in self.targets.values() if target.proxy]
        if which and proxies:
            proxy = proxies[int(which[0] * len(proxies))]
            proxy.alarm(moment, process.kill)
            # Where none comes, it is killed then.
            with contextlib.suppress(Exception):
                process.wait(MOMENT_TIMEOUT)
            proxy.alarm(None, None)
        self.gateway.kill()
        self.kills += 1
        ledger = self._audit_of_the_stopped()
        self._note(f"gateway: kill {self.kills} of {self.schedule.kills}, {' '.join(map(str, fault.detail))}; {ledger}")
        self._failed.wait(fault.lasts)
        self.gateway.start()

    def _audit_of_the_stopped(self):
        ledger = self.gateway.audit()
        sinks = ledger["sinks"]
        lost = {name: sink["dropped"] for name, sink in sinks.items() if sink["dropped"]}
        assert not lost, f"sinks have lost records: {lost}"
        queued = " ".join(f"{name.partition('.')[0]} {sink['queued']}" for name, sink in sinks.items() if sink["queued"])
        return f"{ledger['in']} in, {len(self.load.sent)} sent, queued: {queued or 'nothing'}"

    def _break_sink(self, fault):
        self._note(str(fault))
        self.events += 1
        target = self.targets[fault.target]
        end = self._begin(target, fault)
        if end:
            self._failed.wait(fault.lasts)
            end()
            self._note(f"{fault.target}: end of {fault.what}")

    @staticmethod
    def _begin(target, fault):
        """Begins a fault and returns what ends it."""
        if fault.target == "file":
            target.begin(fault.what)
            return target.heal
        if fault.what == "kill":
            target.kill()
            return target.start
        if fault.what == "login":
            target.lock()
            return target.unlock
        if fault.what == "cut":
            return target.proxy.cut()
        target.proxy.set(fault.what, *fault.detail)
        return target.proxy.heal

    # The end.

    def _drain(self):
        """Waits until every sink has everything. Returns the ledger."""
        for target in self.targets.values():
            target.heal()
        sent = self.load.finish()
        self._note(f"everything is healed; {len(sent)} readings were sent; waiting for the sinks")
        began, ledger, done = time.monotonic(), {}, self.healed

        def is_drained():
            ledger.update(self.gateway.audit())
            distinct = ledger["in"] - ledger["dropped"].get("duplicate", 0)
            is_complete = distinct >= len(sent) and ledger["open"] == 0
            for name, sink in ledger["sinks"].items():
                if is_complete and sink["queued"] == 0 and name not in done:
                    done[name] = time.monotonic() - began
                    self._note(f"{name} has everything, {done[name]:.1f} s after the end of all faults")
            return is_complete and len(done) == len(ledger["sinks"]) and ledger["queued"] == 0

        def progress():
            return [[sink["queued"], sink["delivered"]] for sink in ledger.get("sinks", {}).values()], ledger.get("in")

        assert self.gateway.process.poll() is None, "the gateway has ended by itself"
        wait_until(is_drained, DRAIN, lambda: f"all sinks to have everything: {json.dumps(ledger)}", progress)
        return ledger

    def _judge(self, ledger):
        sent = self.load.sent
        findings, rows, contents = [], [], {}
        if ledger["in"] - ledger["dropped"].get("duplicate", 0) != len(sent) or set(ledger["dropped"]) - {"duplicate"}:
            findings.append(f"the ledger does not have the {len(sent)} readings that were sent: {ledger}")
        for sink, target in self.targets.items():
            dropped = ledger["sinks"][target.name]["dropped"]
            findings += [f"{sink}: {dropped} records dropped"] if dropped else []
            contents[sink] = content = target.content()
            row, found = judge(sink, content, sent, target.has_readings)
            row.healed = self.healed[target.name]
            rows.append(row)
            findings += found
        findings += agree(contents)
        again = ledger["dropped"].get("duplicate", 0)
        summary = [
            f"{self.kills} kills of the gateway, {self.events} faults of sinks, in {time.monotonic() - self._began:.0f} s; "
            f"{again} messages came again from the broker and were dropped",
            Row.HEAD,
            *map(str, rows),
        ]
        for line in summary:
            self._note(line)
        assert not findings, f"{len(findings)} findings:\n" + "\n".join(findings)
        return "\n".join(summary)

"""One run: a schedule of faults on a gateway under load, then quiet, then the oracle."""

import heapq
import time

from chaos.setup import Setup
from chaos.oracle import Evidence, Verdict
from chaos.reading import way
from peers import wait_until

DRAIN = 150.0
"""Seconds until a quiet gateway must have drained: the longest pause between two attempts to connect is 60 s."""


class Failed(AssertionError):
    """Carries the whole report."""


class Run:
    """`show` gets a line of text for each thing that happens."""

    def __init__(self, folder, schedule, show=lambda line: None):
        self.folder, self.schedule = folder, schedule
        self.happened = []
        self._show = show
        self._began = time.monotonic()
        self._put_off = 0.0

    def go(self):
        """Returns the numbers of a run without findings, as a line of text."""
        try:
            with Setup(self.folder, self.schedule) as setup:
                self._began = time.monotonic()
                return self._judge(setup)
        except Exception as error:
            raise Failed(self._report(f"{type(error).__name__}: {error}")) from error
        finally:
            self._keep("happened", self.happened)

    def _keep(self, name, lines):
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def _judge(self, setup):
        self._faults(setup)
        self._drain(setup)
        evidence = _evidence(setup)
        verdict = Verdict(evidence)
        findings = setup.problems() + verdict.findings
        if findings:
            self._keep("findings", findings)
            self._keep("uploads", setup.uploads.all)
            shown = "\n".join(findings[:30])
            raise AssertionError(
                f"{len(findings)} findings, all in the file `findings`, the uploads in `uploads`:\n{shown}"
            )
        return _numbers(setup, evidence, verdict)

    def _report(self, error):
        happened = "\n".join(self.happened)
        again = f"RISER_CHAOS_SEED={self.schedule.seed} RISER_CHAOS_KILLS={self.schedule.kills}"
        return f"{error}\n\n{self.schedule}\n\nWhat happened:\n{happened}\n\nKept: {self.folder}\nAgain: {again}"

    def _note(self, text):
        wall = time.strftime("%H:%M:%S", time.gmtime())
        self.happened.append(f"{time.monotonic() - self._began:7.2f} ({wall} UTC) {text}")
        self._show(self.happened[-1])

    # Faults.

    def _faults(self, setup):
        """Begins and ends each fault at its time; where one took long, all later ones are put off."""
        due = [(fault.at, i, fault, False) for i, fault in enumerate(self.schedule.faults)]
        heapq.heapify(due)
        while due:
            at, i, fault, is_end = heapq.heappop(due)
            late = time.monotonic() - self._due(at)
            if late < 0:
                time.sleep(-late)
            elif late > 0.2:
                self._put_off += late
            if is_end:
                self._undo(setup, fault)
            else:
                self._begin(setup, fault)
                heapq.heappush(due, (at + fault.lasts, i, fault, True))

    def _due(self, at):
        return self._began + self._put_off + at

    def _begin(self, setup, fault):
        if fault.target == "gateway":
            setup.gateway.begin(fault)
            self._note(
                f"{fault.target}: {fault.what} {fault.detail} (kill {setup.gateway.kills} of {self.schedule.kills})"
            )
            if fault.what == "kill":
                self._audit(setup)
            return
        if fault.target == "audit":
            return self._audit(setup)
        self._note(f"{fault.target}: {fault.what} {fault.detail}")
        if fault.target in setup.proxies:
            setup.line_fault(fault)
        else:
            broker = getattr(setup, fault.target)
            broker.kill() if fault.what == "kill" else broker.freeze()

    def _undo(self, setup, fault):
        if fault.target == "gateway":
            setup.gateway.undo(fault)
        elif fault.target in setup.proxies:
            setup.proxies[fault.target].close_hole()
        elif fault.target != "audit":
            broker = getattr(setup, fault.target)
            broker.start() if fault.what == "kill" else broker.thaw()
        if fault.lasts:
            self._note(f"{fault.target}: end of {fault.what}")

    def _audit(self, setup):
        """Between a kill and the start it is the stopped store that is audited."""
        acked = setup.acked()
        ledger = setup.gateway.audit()
        if ledger:
            self._note(f"audit: {ledger['in']} in, {acked} acknowledged")
            assert ledger["balanced"] and ledger["in"] >= acked, f"{acked} acknowledged, but the ledger says {ledger}"

    # The end.

    def _drain(self, setup):
        self._note("quiet: waiting for everything to drain")
        for proxy in setup.proxies.values():
            proxy.calm()
        setup.senders.finish(DRAIN)
        self._note("the sensors have every PUBACK")
        setup.pass_last_readings(DRAIN)
        self._note("Riser has acknowledged each last reading")
        ledger = {}

        def drained():
            ledger.update(setup.gateway.audit() or {})
            return ledger.get("open") == ledger.get("queued") == 0

        wait_until(drained, DRAIN, lambda: f"an empty gateway; the ledger: {ledger}")
        self._note("drained")


def _evidence(setup):
    return Evidence(
        sent=setup.senders.sent(),
        sensor_acked={reading for reading in setup.senders.acked() if way(reading.device) == "local"},
        deliveries=setup.deliveries(),
        uploads=setup.uploads.all,
        received=[(message.topic, message.raw) for message in setup.cloud_application.messages],
        ledger=setup.gateway.audit(),
    )


def _numbers(setup, evidence, verdict):
    acked = setup.acked()
    never_passed_on = len(setup.senders.acked() - evidence.deliveries.keys())
    return (
        f"{len(evidence.sent)} readings sent, {acked} acknowledged by Riser, {verdict.counted.total()} counted in "
        f"{verdict.windows} windows ({verdict.corrections} corrected); counted twice: {dict(verdict.twice) or 'none'}; "
        f"{evidence.ledger['dropped'] or 'nothing'} dropped; lost by mosquitto itself: {never_passed_on}"
    )

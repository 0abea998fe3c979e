"""Scores, thresholds and tables, as Markdown: what docs/anomaly.md shows."""

from nab import held_out, scoring
from nab.scoring import PROFILES, STANDARD

ALERT_THRESHOLD = 0.5


class Scored:
    """All files with their scores."""

    def __init__(self, files, scores):
        self.files = [file.name for file in files]
        judged = {file.name: scoring.judge(file.times, file.windows) for file in files}
        self._windows = {name: one.windows for name, one in judged.items()}
        every = (event for name in self.files for event in scoring.events(judged[name], scores[name], name))
        self.ordered = scoring.descending(every)

    def windows(self, names=None):
        return sum(self._windows[name] for name in names or self.files)

    def of(self, names):
        """The events of some files, in order."""
        return (event for event in self.ordered if event.file in names)

    def optimum(self, profile):
        """The score of all files and the threshold that it is highest at."""
        total, threshold = scoring.optimum(self.ordered, self.windows(), profile)
        return scoring.normalised(total, self.windows(), profile), threshold

    def at(self, profile, threshold):
        total = scoring.total_at(self.ordered, self.windows(), profile, threshold)
        return scoring.normalised(total, self.windows(), profile)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def scores(scored):
    head = ["", *(profile.name for profile in PROFILES)]
    best = [scored.optimum(profile) for profile in PROFILES]
    halves = held_out.half_splits(scored)
    folders = held_out.folders(scored)
    rows = [
        ["all files, best threshold", *(f"{score:.2f}" for score, _ in best)],
        ["that threshold", *(f"{threshold:.6g}" for _, threshold in best)],
        [f"all files, threshold {ALERT_THRESHOLD}", *(f"{scored.at(p, ALERT_THRESHOLD):.2f}" for p in PROFILES)],
        [
            f"held-out halves, frozen threshold ({held_out.SPLITS} random splits, both ways)",
            *(_spread(halves[profile]) for profile in PROFILES),
        ],
        *([f"held-out {name}", *(f"{one[p]:.2f}" for p in PROFILES)] for name, one in folders.items()),
    ]
    return table(head, rows)


def _spread(scores):
    if not scores:
        return "-"
    mean, deviation = held_out.mean_and_deviation(scores)
    return f"{mean:.2f} ± {deviation:.2f}"


def per_file(scored, runs):
    _, threshold = scored.optimum(STANDARD)
    at = (f"hit at {threshold:.4g}", "false", f"hit at {ALERT_THRESHOLD}", "false")
    head = ["file", "windows", *at, "alerts raised"]
    rows = []
    for name in scored.files:
        events = list(scored.of({name}))
        cells = (number for t in (threshold, ALERT_THRESHOLD) for number in scoring.counts(events, t))
        rows.append([name, scored.windows([name]), *cells, runs[name].alerts])
    rows.append(["all", *(sum(row[i] for row in rows) for i in range(1, len(head)))])
    return table(head, rows)


def cost(runs):
    rows = sum(len(run.scores) for run in runs.values())
    seconds = sum(run.seconds for run in runs.values())
    state = max(run.state_bytes for run in runs.values())
    return (
        f"{len(runs)} files, {rows:,} rows: {seconds / rows * 1e6:.2f} µs of CPU a row, start, reading and writing "
        f"included (the model alone: scripts/bench micro); state of a series at most {state:,} bytes as stored."
    )

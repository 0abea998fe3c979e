"""How the score holds on files that the threshold was not chosen on."""

import random
import statistics

from nab.scoring import PROFILES, normalised, optimum, total_at

SPLITS = 100


def half_splits(scored, seed=1, splits=SPLITS):
    """For each profile the scores of held-out halves: each random split judges both ways."""
    chance, results = random.Random(seed), {profile: [] for profile in PROFILES}
    for _ in range(splits):
        half = set(chance.sample(scored.files, len(scored.files) // 2))
        for tuned in (half, set(scored.files) - half):
            for profile, score in held_out(scored, tuned).items():
                results[profile].append(score)
    return results


def folders(scored):
    """For each folder with windows the scores on it at the thresholds that are best on all other folders."""
    results = {}
    for folder in sorted({name.split("/")[0] for name in scored.files}):
        others = {name for name in scored.files if name.split("/")[0] != folder}
        if scores := held_out(scored, others):
            results[folder] = scores
    return results


def held_out(scored, tuned):
    """For each profile the score of the other files at the threshold that is best on the files `tuned`."""
    others = set(scored.files) - tuned
    windows, windows_of_others = scored.windows(tuned), scored.windows(others)
    if not (windows and windows_of_others):
        return {}
    results = {}
    for profile in PROFILES:
        _, threshold = optimum(scored.of(tuned), windows, profile)
        total = total_at(scored.of(others), windows_of_others, profile, threshold)
        results[profile] = normalised(total, windows_of_others, profile)
    return results


def mean_and_deviation(scores):
    """0 as the deviation of one."""
    return statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else 0.0

"""Three minutes at 1,000 readings/s take no more of the machine at their end than after the first quarter; `scripts/soak`
runs for an hour. RISER_SOAK_SECONDS: another length."""

import os
import time

import pytest

from soak import Soak, problems

SECONDS = int(os.environ.get("RISER_SOAK_SECONDS", "180"))
RATE = 1000


@pytest.mark.timeout(SECONDS + 180)
def test_memory_descriptors_and_files_stay_flat(started, tmp_path):
    soak = started.keep(Soak(tmp_path, RATE))
    samples = []
    while not samples or samples[-1].seconds < SECONDS:
        samples.append(soak.sample())
        if len(samples) % 10 == 0:
            soak.gateway.audit()
        time.sleep(1)
    assert samples[-1].sent > 0.95 * RATE * SECONDS, "this machine is too slow for the rate"
    soak.finish()
    assert problems(samples) == [], "\n".join(map(str, samples[:: max(1, len(samples) // 30)]))

"""riser battery: mean currents and years of given states and of nodes, a table and a plot, and what is refused."""

import json
import re
import subprocess

import pytest

from gateway import BINARY
from pages import DOCS

#                      currents and shares of time,                                              mA,    years
EXAMPLES = [
    (("sleep=20uA:99.7%", "measure=80mA:0.1%", "send=170mA:0.2%"), 0.440, 0.78),
    (("sleep=10uA:99.9%", "measure=50mA:0.05%", "send=120mA:0.05%"), 0.095, 3.6),
]


def battery(*arguments, check=0):
    done = subprocess.run([BINARY, "battery", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == check, f"exit {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}"
    return done


def states(*texts):
    return [argument for text in texts for argument in ("--state", text)]


@pytest.mark.parametrize(("given", "milliamps", "years"), EXAMPLES)
def test_given_states_last_as_long_as_the_sum_says(given, milliamps, years):
    text = battery("--capacity", "3000mAh", *states(*given)).stdout
    assert round(float(re.search(r"^mean current +(\S+) mA$", text, re.M)[1]), 3) == milliamps
    assert float(re.search(r"^life +(\S+) years$", text, re.M)[1]) == pytest.approx(years, abs=0.005)
    body = json.loads(battery("--capacity", "3Ah", "--json", *states(*given)).stdout)
    assert round(body["mean_current_ma"], 3) == milliamps
    assert body["years"] == pytest.approx(3000 / body["mean_current_ma"] / 8766)
    for state, argument in zip(body["states"], given, strict=True):
        name, share = re.fullmatch(r"(\w+)=.*:(.*)%", argument).groups()
        assert state["name"] == name and state["share_percent"] == pytest.approx(float(share))
        assert state["mah_per_day"] == pytest.approx(state["current_ma"] * float(share) / 100 * 24)


def test_the_table_names_each_state_and_the_plot_has_a_bar_for_each_interval():
    lines = battery("--capacity", "2400mAh", "--node", "lorawan", "--sf", "9").stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["STATE", "sleep", "measure", "send", "listen"]
    bars = [re.fullmatch(r" *(\d+[mh])  (█*[▏▎▍▌▋▊▉]?) +(\d+\.\d+)", line) for line in lines[-8:]]
    assert [bar[1] for bar in bars] == ["1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h"]
    years, lengths = [float(bar[3]) for bar in bars], [len(bar[2]) for bar in bars]
    assert years == sorted(years) and lengths == sorted(lengths) and lengths[-1] == 40
    assert lengths[3] == pytest.approx(40 * years[3] / years[-1], abs=1)


def test_a_node_has_the_years_of_the_page():
    row = re.search(r"^\| fields \| (\d+) \|.*?\| (\S+) \| (\d+) \| \S+ \| (\S+) \|$", (DOCS / "firmware.md").read_text(), re.M)
    payload, lorawan, advertisement, ble = row.groups()
    common = ("--capacity", "2400mAh", "--every", "10m", "--self-discharge", "1%", "--json")
    found = json.loads(battery(*common, "--node", "lorawan", "--sf", "9", "--payload", payload).stdout)
    assert f"{found['years']:.1f}" == lorawan
    found = json.loads(battery(*common, "--node", "ble", "--payload", advertisement).stdout)
    assert f"{found['years']:.1f}" == ble


def test_self_discharge_and_temperature_take_years():
    def years(*more):
        return json.loads(battery("--capacity", "2400mAh", "--json", *states("all=10uA:100%"), *more).stdout)["years"]

    fresh = 2400 / 0.01 / 8766
    assert years() == pytest.approx(fresh)
    assert years("--self-discharge", "1%") == pytest.approx(2400 / (0.01 * 8766 + 24))
    assert years("--temperature", "-20") == pytest.approx(fresh * 0.8)
    assert years("--temperature", "30", "--self-discharge", "1%") == pytest.approx(2400 / (0.01 * 8766 + 48))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--capacity", "3000mAh"), "--state"),
        (("--node", "ble"), "--capacity"),
        (("--capacity", "3000", "--node", "ble"), "not a capacity"),
        (("--capacity", "0mAh", "--node", "ble"), "more than 0"),
        (("--capacity", "1Ah", "--state", "a"), "not a state"),
        (("--capacity", "1Ah", "--state", "a=1:1%"), "not a current"),
        (("--capacity", "1Ah", "--state", "a=1mA:1"), "not a percentage"),
        (("--capacity", "1Ah", "--state", "a=-1mA:1%"), "0 or more"),
        (("--capacity", "1Ah", "--state", "a=1mA:101%"), "0 to 100 %"),
        (("--capacity", "1Ah", "--state", "a=1mA:60%", "--state", "b=1mA:50%"), "must not exceed 100 %"),
        (("--capacity", "1Ah", "--state", "a=0mA:100%"), "nothing discharges"),
        (("--capacity", "1Ah", "--state", "a=1mA:1%", "--node", "ble"), "cannot be used with"),
        (("--capacity", "1Ah", "--state", "a=1mA:1%", "--every", "5m"), "cannot be used with"),
        (("--capacity", "1Ah", "--state", "a=1mA:1%", "--temperature", "-60"), "from -40 to 85"),
        (("--capacity", "1Ah", "--state", "a=1mA:1%", "--self-discharge", "101%"), "0 to 100 %"),
        (("--capacity", "1Ah", "--node", "lorawan", "--sf", "13"), "7 to 12"),
        (("--capacity", "1Ah", "--node", "lorawan", "--sf", "12", "--payload", "52"), "limit is 51 bytes"),
        (("--capacity", "1Ah", "--node", "lorawan", "--sf", "12", "--every", "1s"), "interval of 1.0 s"),
        (("--capacity", "1Ah", "--node", "ble", "--payload", "32"), "limit is 31 bytes"),
        (("--capacity", "1Ah", "--node", "zigbee"), "lorawan, ble, wifi"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(arguments, says):
    done = battery(*arguments, check=64)
    assert says in done.stderr and done.stdout == ""


def test_help_has_examples_that_run():
    text = battery("--help").stdout
    examples = re.findall(r"^  riser battery (.*(?:\n  (?!riser).*)*)", text, re.M)
    assert len(examples) == 4
    for example in examples:
        assert battery(*example.split()).stdout

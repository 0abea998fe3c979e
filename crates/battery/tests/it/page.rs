//! docs/firmware.md and docs/firmware.svg say what the model computes for real frames.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use battery::lora::{self, SpreadingFactor};
use battery::{ADVERTISING_EVENTS, Battery, Error, Node, figures};

use crate::chart;
use crate::encodings::{self, Encoding};

/// Years.
pub(crate) const AIM: f64 = 10.0;

const CAPACITY: f64 = 2_400.0;
const EVERY: Duration = Duration::from_secs(600);
const SF9: usize = 2;

const BEGIN: &str = "<!-- generated: UPDATE=1 cargo test -p battery page -->\n";
const END: &str = "<!-- end of what is generated -->\n";

/// What one encoding costs.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    encoding: Encoding,
    /// By spreading factor; `None` where the payload is too long, or for BLE alone.
    lorawan: Vec<Option<Cost>>,
    ble: Option<Cost>,
    pub(crate) ble_years: Option<f64>,
}

#[derive(Clone, Copy)]
struct Cost {
    airtime: Duration,
    /// Of a measurement, in mJ.
    energy: f64,
    years: f64,
}

impl Row {
    fn new(encoding: Encoding) -> Self {
        let bytes = encoding.payload.len();
        let lorawan = SpreadingFactor::ALL.map(|factor| {
            let node = Node::lorawan(factor, bytes).ok().filter(|_| !encoding.is_ble)?;
            Some(Cost { airtime: lora::airtime(factor, bytes).unwrap(), ..cost(node, encoding.records) })
        });
        let ble = encoding
            .advertisement
            .as_ref()
            .map(|data| cost(Node::ble(data.len(), ADVERTISING_EVENTS).unwrap(), encoding.records));
        let ble_years = ble.map(|cost| cost.years);
        Self { name: encoding.name, encoding, lorawan: lorawan.to_vec(), ble, ble_years }
    }

    /// Years at the spreading factor of that index.
    pub(crate) fn lorawan_at(&self, index: usize) -> Option<f64> {
        self.lorawan[index].map(|cost| cost.years)
    }
}

/// A report of several measurements is sent as much more rarely.
fn cost(node: Node, records: u32) -> Cost {
    let node = node.measuring(records);
    let energy = node.energy() / f64::from(records);
    Cost { airtime: Duration::ZERO, energy, years: years(&node, EVERY * records, battery(), 0.0).unwrap() }
}

fn battery() -> Battery {
    Battery::new(CAPACITY).unwrap().with_self_discharge(1.0).unwrap()
}

/// With so many mA more all the time.
fn years(node: &Node, every: Duration, battery: Battery, more: f64) -> Result<f64, Error> {
    battery.years(node.load(every)?.milliamps() + more)
}

fn rows() -> Vec<Row> {
    encodings::all().into_iter().map(Row::new).collect()
}

fn cell<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

fn one(value: f64) -> String {
    format!("{value:.1}")
}

fn cells(row: &Row, show: impl Fn(Cost) -> String) -> String {
    row.lorawan.iter().map(|cost| cell(*cost, &show)).collect::<Vec<_>>().join(" | ")
}

fn generated(rows: &[Row]) -> String {
    let mut out = String::new();
    let per_factor = "SF7 | SF8 | SF9 | SF10 | SF11 | SF12 |\n";
    let _ = write!(
        out,
        "### Bytes, energy and years\nOne measurement every 10 minutes, on {CAPACITY:.0} mAh that lose 1 % a year, at 20 °C.\n\n\
         | encoding | bytes | bytes a measurement | LoRaWAN SF9: mJ a measurement | LoRaWAN SF9: years | BLE: bytes of the advertisement | BLE: mJ a measurement | BLE: years |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let Row { name, encoding, ble, .. } = row;
        let (bytes, sf9) = (encoding.payload.len(), row.lorawan[SF9]);
        let each = bytes as f64 / f64::from(encoding.records);
        let _ = writeln!(
            out,
            "| {name} | {bytes} | {each:.1} | {} | {} | {} | {} | {} |",
            cell(sf9, |cost| one(cost.energy)),
            cell(sf9, |cost| one(cost.years)),
            cell(encoding.advertisement.as_ref(), |data| data.len().to_string()),
            cell(*ble, |cost| format!("{:.2}", cost.energy)),
            cell(*ble, |cost| one(cost.years)),
        );
    }
    let _ = write!(
        out,
        "\n{}\n\n### Time on air, in ms\n\n| encoding | {per_factor}|---|--:|--:|--:|--:|--:|--:|\n",
        verdict(rows)
    );
    for row in rows.iter().filter(|row| !row.encoding.is_ble) {
        let _ =
            writeln!(out, "| {} | {} |", row.name, cells(row, |cost| one(cost.airtime.as_secs_f64() * 1e3)));
    }
    let _ = write!(
        out,
        "\n### Years by spreading factor\n\n| encoding | {per_factor}|---|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in rows.iter().filter(|row| !row.encoding.is_ble) {
        let _ = writeln!(out, "| {} | {} |", row.name, cells(row, |cost| one(cost.years)));
    }
    out.push_str(&conditions(rows));
    out.push_str(&sources());
    out
}

/// Whether the aim is reached, in words.
fn verdict(rows: &[Row]) -> String {
    let lorawan: Vec<_> = rows.iter().filter(|row| !row.encoding.is_ble).collect();
    let reached = |at: usize| {
        let found = lorawan.iter().filter(|row| row.lorawan_at(at).is_some_and(|years| years >= AIM));
        found.map(|row| row.name).collect::<Vec<_>>()
    };
    let count = lorawan.len();
    let at_sf9 = reached(SF9);
    let missed: Vec<_> = lorawan.iter().map(|row| row.name).filter(|name| !at_sf9.contains(name)).collect();
    let missed = if missed.is_empty() { String::new() } else { format!(" (not by {})", missed.join(", ")) };
    let slowest = SpreadingFactor::ALL
        .iter()
        .enumerate()
        .filter(|(index, _)| !reached(*index).is_empty())
        .map(|(index, factor)| format!("SF{}: {}", factor.number(), reached(index).len()))
        .collect::<Vec<_>>()
        .join(", ");
    let ble = rows.iter().filter_map(|row| row.ble_years).fold(f64::INFINITY, f64::min);
    format!(
        "**{AIM:.0} years by LoRaWAN SF9: {} of {count} encodings reach them in this model{missed}.** Encodings that reach them, by spreading factor: {slowest}. \
         **By BLE: {}**, at least {ble:.1} years with every encoding that fits an advertisement.",
        at_sf9.len(),
        if ble >= AIM { "reached" } else { "not reached" },
    )
}

/// One encoding, with one thing changed at a time.
fn conditions(rows: &[Row]) -> String {
    let bytes = rows.iter().find(|row| row.name == "fields").unwrap().encoding.payload.len();
    let advertisement =
        rows.iter().find(|row| row.encoding.is_ble).unwrap().encoding.advertisement.as_ref().unwrap().len();
    let lorawan = Node::lorawan(SpreadingFactor::ALL[SF9], bytes).unwrap();
    let high = lorawan.clone().sending_at(figures::LORA_TRANSMIT_HIGH.value);
    let ble = Node::ble(advertisement, ADVERTISING_EVENTS).unwrap();
    let two_minutes = Duration::from_secs(120);
    let room = battery();
    let [cold, hot] = [-20.0, 40.0].map(|celsius| battery().at(celsius).unwrap());
    let lossy = Battery::new(CAPACITY).unwrap().with_self_discharge(3.0).unwrap();
    let mut out =
        "\n### What changes the result\nFields at SF9 and BTHome v2 by BLE, one thing changed at a time.\n\n\
                   | | LoRaWAN SF9: years | BLE: years |\n|---|--:|--:|\n"
            .to_owned();
    for (what, lorawan, ble) in [
        ("as above", years(&lorawan, EVERY, room, 0.0), Some(years(&ble, EVERY, room, 0.0))),
        ("a module with the amplifier for 22 dBm alone", years(&high, EVERY, room, 0.0), None),
        (
            "a board that takes 10 µA more asleep",
            years(&lorawan, EVERY, room, 0.01),
            Some(years(&ble, EVERY, room, 0.01)),
        ),
        (
            "a board that takes 100 µA more asleep",
            years(&lorawan, EVERY, room, 0.1),
            Some(years(&ble, EVERY, room, 0.1)),
        ),
        (
            "a report every 2 minutes",
            years(&lorawan, two_minutes, room, 0.0),
            Some(years(&ble, two_minutes, room, 0.0)),
        ),
        ("at -20 °C", years(&lorawan, EVERY, cold, 0.0), Some(years(&ble, EVERY, cold, 0.0))),
        ("at 40 °C", years(&lorawan, EVERY, hot, 0.0), Some(years(&ble, EVERY, hot, 0.0))),
        (
            "self-discharge 3 % a year",
            years(&lorawan, EVERY, lossy, 0.0),
            Some(years(&ble, EVERY, lossy, 0.0)),
        ),
    ] {
        let _ = writeln!(
            out,
            "| {what} | {:.1} | {} |",
            lorawan.unwrap(),
            cell(ble, |years| one(years.unwrap()))
        );
    }
    let wifi = years(&Node::wifi(), EVERY, room, 0.0).unwrap();
    let _ = writeln!(
        out,
        "\nA Pico W that joins Wi-Fi for each report lasts {wifi:.2} years: it belongs on a power supply."
    );
    out
}

fn sources() -> String {
    let mut out = "\n### The numbers behind it\n\n| what | value | source |\n|---|--:|---|\n".to_owned();
    for figure in figures::ALL {
        let kind = if figure.is_assumed { "**assumed**: " } else { "" };
        let value = if figure.unit == "mA" && figure.value < 0.1 {
            format!("{} µA", rounded(figure.value * 1e3))
        } else {
            format!("{} {}", figure.value, figure.unit)
        };
        let _ = writeln!(out, "| {} | {} | {kind}{} |", figure.name, value.trim_end(), figure.source);
    }
    out
}

/// Without the dust of binary fractions.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file)
}

/// With UPDATE=1 in the environment, writes the file instead.
fn is_committed(file: &str, make: impl Fn(&str) -> String) {
    let path = docs(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let made = make(&committed);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    assert!(
        committed == made,
        "docs/{file} is not what the model says; run: UPDATE=1 cargo test -p battery page"
    );
}

#[test]
fn the_page_says_what_the_model_computes() {
    is_committed("firmware.md", |committed| {
        let (before, rest) =
            committed.split_once(BEGIN).expect("the page has the mark where the generated part begins");
        let (_, after) = rest.split_once(END).expect("the page has the mark where the generated part ends");
        format!("{before}{BEGIN}{}{END}{after}", generated(&rows()))
    });
}

#[test]
fn the_plot_of_the_page_shows_what_the_model_computes() {
    is_committed("firmware.svg", |_| chart::svg(&rows()));
}

/// The aim, as the table has it: a change of frames or figures that misses it is noticed here.
#[test]
fn the_page_keeps_the_aim_of_ten_years_with_our_own_frames() {
    for row in rows() {
        if row.encoding.is_ble {
            assert!(row.ble_years.unwrap() >= AIM);
        } else if row.name.starts_with("fi") {
            assert!(row.lorawan_at(SF9).unwrap() >= AIM, "{}", row.name);
        }
    }
}

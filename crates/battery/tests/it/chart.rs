//! The plot of docs/firmware.md: battery years of each encoding at SF9 and by BLE, and by spreading factor.

use std::fmt::Write as _;

use battery::lora::SpreadingFactor;

use crate::page::{AIM, Row};

const WIDTH: f64 = 960.0;
const ROW: f64 = 34.0;
const TOP: f64 = 64.0;
/// Where the bars begin, and how long a year is.
const LEFT: f64 = 150.0;
const YEAR: f64 = 8.5;
/// Most years of the bars.
const MOST: f64 = 40.0;
/// The second panel: its left edge, and between two spreading factors.
const RIGHT: f64 = 590.0;
const STEP: f64 = 64.0;

const COLOURS: [&str; 9] =
    ["#b2182b", "#ef8a62", "#8c6d31", "#2166ac", "#1b7837", "#5aae61", "#762a83", "#67a9cf", "#c2a5cf"];
const BLE: &str = "#444444";

/// The whole file.
pub(crate) fn svg(rows: &[Row]) -> String {
    let height = TOP + rows.len() as f64 * ROW + 60.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Years on 2,400 mAh with a measurement every 10 minutes</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut out,
        16.0,
        24.0,
        "start",
        "Years on 2,400 mAh, a measurement every 10 minutes, self-discharge 1 % a year",
    );
    bars(&mut out, rows, height);
    lines(&mut out, rows, height);
    out.push_str("</svg>\n");
    out
}

fn bars(out: &mut String, rows: &[Row], height: f64) {
    text(out, LEFT, 48.0, "start", "LoRaWAN SF9 (coloured), BLE (grey)");
    let bottom = height - 50.0;
    for years in (0..=MOST as u32).step_by(10).map(f64::from) {
        let x = LEFT + years * YEAR;
        line(out, (x, TOP - 6.0), (x, bottom), "#dddddd", "1", "");
        text(out, x, bottom + 16.0, "middle", &years.to_string());
    }
    let x = LEFT + AIM * YEAR;
    line(out, (x, TOP - 10.0), (x, bottom), "#000000", "1.5", "5 4");
    text(out, x, bottom + 34.0, "middle", "aim");
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + index as f64 * ROW;
        text(out, LEFT - 8.0, y + 17.0, "end", row.name);
        if let Some(years) = row.lorawan_at(SF9) {
            bar(out, y + 2.0, years, COLOURS[index % COLOURS.len()]);
        }
        if let Some(years) = row.ble_years {
            bar(out, y + 15.0, years, BLE);
        }
    }
}

const SF9: usize = 2;

fn bar(out: &mut String, y: f64, years: f64, colour: &str) {
    let width = years.min(MOST) * YEAR;
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"11\" fill=\"{colour}\"/>"
    );
    text(out, LEFT + width + 4.0, y + 10.0, "start", &format!("{years:.1}"));
}

fn lines(out: &mut String, rows: &[Row], height: f64) {
    text(out, RIGHT, 48.0, "start", "LoRaWAN, by spreading factor (colours as on the left)");
    let bottom = height - 50.0;
    let scale = (bottom - TOP) / MOST;
    let y = |years: f64| bottom - years * scale;
    let x = |index: usize| RIGHT + index as f64 * STEP;
    let last = x(SpreadingFactor::ALL.len() - 1);
    for years in (0..=MOST as u32).step_by(10).map(f64::from) {
        line(out, (RIGHT, y(years)), (last, y(years)), "#dddddd", "1", "");
        text(out, RIGHT - 6.0, y(years) + 4.0, "end", &years.to_string());
    }
    line(out, (RIGHT, y(AIM)), (last, y(AIM)), "#000000", "1.5", "5 4");
    for (index, factor) in SpreadingFactor::ALL.iter().enumerate() {
        text(out, x(index), bottom + 16.0, "middle", &format!("SF{}", factor.number()));
    }
    for (index, row) in rows.iter().enumerate() {
        let points: Vec<_> = (0..SpreadingFactor::ALL.len())
            .filter_map(|at| Some(format!("{:.1},{:.1}", x(at), y(row.lorawan_at(at)?))))
            .collect();
        if !points.is_empty() {
            let colour = COLOURS[index % COLOURS.len()];
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            );
        }
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: &str, dashes: &str) {
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\" stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{text}</text>"
    );
}

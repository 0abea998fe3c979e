//! The answer of `riser battery`: a table and a plot for people, one object for programs.

use battery::{Battery, Load};
use serde_json::{Value, json};

use crate::cli::tail::printable;

/// Characters of the longest bar.
const BAR: f64 = 40.0;

/// One bar of the plot.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) label: String,
    pub(super) seconds: Option<u64>,
    pub(super) times: Option<f64>,
    pub(super) years: f64,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) capacity: f64,
    pub(super) battery: Battery,
    pub(super) load: Load,
    pub(super) years: f64,
    pub(super) plot: Vec<Point>,
    pub(super) by_interval: bool,
}

impl Report {
    pub(super) fn json(&self) -> String {
        let states = self.load.states().iter().map(|state| {
            json!({
                "name": state.name(),
                "current_ma": state.milliamps(),
                "share_percent": state.share() * 100.0,
                "mah_per_day": state.mah_a_day(),
            })
        });
        let plot = self.plot.iter().map(|point| match (point.seconds, point.times) {
            (Some(seconds), _) => json!({ "interval_seconds": seconds, "years": point.years }),
            (None, times) => json!({ "times_as_often": times, "years": point.years }),
        });
        json!({
            "capacity_mah": self.capacity,
            "usable_mah": self.capacity * self.battery.usable_share(),
            "self_discharge_mah_per_year": self.battery.loss_a_year(),
            "mean_current_ma": self.load.milliamps(),
            "years": self.years,
            "states": states.collect::<Vec<Value>>(),
            "plot": plot.collect::<Vec<Value>>(),
        })
        .to_string()
    }

    pub(super) fn text(&self) -> String {
        let mut lines = self.table();
        let usable = self.capacity * self.battery.usable_share();
        lines.push(String::new());
        lines.push(format!("mean current     {:.4} mA", self.load.milliamps()));
        lines.push(format!("usable capacity  {usable:.0} of {:.0} mAh", self.capacity));
        lines.push(format!("self-discharge   {:.1} mAh a year", self.battery.loss_a_year()));
        lines.push(format!("life             {:.2} years", self.years));
        lines.push(String::new());
        let head = if self.by_interval {
            "years, by the interval between two reports"
        } else {
            "years, if it leaves its longest state so many times as often"
        };
        lines.push(head.to_owned());
        lines.extend(self.bars());
        lines.join("\n")
    }

    fn table(&self) -> Vec<String> {
        let states = self.load.states();
        let widest = states.iter().map(|state| state.name().chars().count()).max().unwrap_or_default().max(6);
        let row = |name: &str, current: String, share: String, charge: String| {
            printable(format!("{name:<widest$}  {current:>12}  {share:>10}  {charge:>10}"))
        };
        let mut lines = vec![row("STATE", "CURRENT".into(), "SHARE".into(), "MAH A DAY".into())];
        lines.extend(states.iter().map(|state| {
            let share = format!("{:.4} %", state.share() * 100.0);
            row(state.name(), current(state.milliamps()), share, format!("{:.4}", state.mah_a_day()))
        }));
        if self.load.rest() > 0.0 {
            let share = format!("{:.4} %", self.load.rest() * 100.0);
            lines.push(row("(rest)", current(0.0), share, format!("{:.4}", 0.0)));
        }
        lines
    }

    fn bars(&self) -> impl Iterator<Item = String> {
        let most = self.plot.iter().map(|point| point.years).fold(0.0, f64::max);
        self.plot.iter().map(move |point| {
            let bar = bar(point.years / most * BAR);
            format!("{:>6}  {bar:<width$} {:.2}", point.label, point.years, width = BAR as usize)
        })
    }
}

/// µA below 1 mA.
fn current(milliamps: f64) -> String {
    if milliamps < 1.0 { format!("{:.2} µA", milliamps * 1e3) } else { format!("{milliamps:.2} mA") }
}

/// So many blocks, with eighths.
fn bar(length: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (length.clamp(0.0, BAR) * 8.0).round() as usize;
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{rest}", "█".repeat(eighths / 8))
}

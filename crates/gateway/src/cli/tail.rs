//! `riser tail`: what goes by in a running gateway.

use clap::ValueEnum;
use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;

use super::request::not_running;
use super::{ConfigArg, Exit, Failure, print_line};
use pipeline::observe::live_socket::{self, Line, Question};

/// What to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TailStream {
    /// Every reading
    Readings,
    /// Windows as they close
    Aggregates,
    /// Alerts raised and cleared
    Alerts,
}

pub(crate) fn tail(
    what: Option<TailStream>,
    config: &ConfigArg,
    device: Option<String>,
    json: bool,
) -> Result<Exit, Failure> {
    if let Some(glob) = &device {
        live_socket::matcher(glob)
            .map_err(|error| Failure::new(Exit::Usage, format!("--device `{glob}`: {error}")))?;
    }
    let data_dir = super::run::load(config, true)?.config.gateway.data_dir;
    let question = Question::Follow {
        readings: what == Some(TailStream::Readings),
        aggregates: what.is_none_or(|what| what == TailStream::Aggregates),
        alerts: what.is_none_or(|what| what == TailStream::Alerts),
        device,
    };
    super::runtime()?.block_on(async {
        let path = live_socket::path(&data_dir);
        let answer = live_socket::ask(&data_dir, &question).await.map_err(|error| {
            Failure::new(Exit::Unavailable, format!("cannot reach {}: {error}", path.display()))
        })?;
        let Some(answer) = answer else {
            return Err(not_running(&data_dir));
        };
        let mut lines = answer.lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
            print_line(&if json { line.item.to_string() } else { for_people(&line) })?;
        }
        Err(Failure::new(Exit::Unavailable, "the gateway stopped"))
    })
}

/// One line a person can read.
pub(crate) fn for_people(line: &Line) -> String {
    printable(describe(line))
}

/// Names come from outside: what a terminal would obey is written out.
pub(crate) fn printable(text: String) -> String {
    if text.contains(char::is_control) {
        return text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
            .collect();
    }
    text
}

fn describe(Line { kind, item }: &Line) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    match kind.as_str() {
        "reading" => {
            let value = item.get("value").and_then(Value::as_f64).unwrap_or(f64::NAN);
            format!("{}  {:<24} {} = {value}", text("time"), text("device"), text("metric"))
        }
        "alert" => format!(
            "{}  {:<24} {} {} {}: {}",
            text("time"),
            text("device"),
            text("severity").to_uppercase(),
            text("alert"),
            text("state"),
            text("message")
        ),
        "aggregate" => {
            let end = item.pointer("/window/end").and_then(Value::as_str).unwrap_or_default();
            let subject = if text("device").is_empty() { text("zone") } else { text("device") };
            format!("{end}  {subject:<24} {}", metrics(item))
        }
        _ => format!("({kind}: {item})"),
    }
}

fn metrics(aggregate: &Value) -> String {
    let Some(metrics) = aggregate.get("metrics").and_then(Value::as_object) else { return String::new() };
    let one = |(name, summary): (&String, &Value)| {
        let field = |key: &str| summary.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        format!("{name} {:.2} ({:.2}..{:.2}, n={})", field("avg"), field("min"), field("max"), field("count"))
    };
    metrics.iter().map(one).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_every_glob_that_the_gateway_would_refuse() {
        let config = ConfigArg { config: None, set: Vec::new() };
        for glob in ["[", &format!("{}a{}", "{".repeat(1000), "}".repeat(1000))] {
            let refused = tail(None, &config, Some(glob.to_owned()), false).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{}", refused.message);
        }
    }
}

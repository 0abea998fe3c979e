//! `riser acknowledge`: the active alerts of a running gateway, and acknowledging its anomalies.

use gateway_core::settings::HumanDuration;

use super::request::request_blocking;
use super::{ConfigArg, Exit, Failure, print_line, tail};
use pipeline::acknowledging::{Answer, Request, Row};
use pipeline::observe::live_socket::Question;

pub(crate) fn acknowledge(
    device: Option<String>,
    metric: Option<String>,
    hold: HumanDuration,
    config: &ConfigArg,
    json: bool,
) -> Result<Exit, Failure> {
    if hold.0.is_zero() {
        return Err(Failure::new(Exit::Usage, "--for must be longer than 0, such as 30d"));
    }
    let data_dir = super::run::load(config, true)?.config.gateway.data_dir;
    let Some(device) = device else {
        let rows: Vec<Row> = request_blocking(&data_dir, &Question::Raised)?;
        return list(&rows, json);
    };
    let request = Request { device, metric, hold: hold.0 };
    let answer = request_blocking(&data_dir, &Question::Acknowledge(request.clone()))?;
    report(&request, answer, json)
}

fn list(rows: &[Row], json: bool) -> Result<Exit, Failure> {
    if json {
        for row in rows {
            print_line(&serde_json::to_string(row).unwrap_or_default())?;
        }
    } else if rows.is_empty() {
        print_line("nothing is raised")?;
    } else {
        print_line(&line(["SINCE", "DEVICE", "METRIC", "SEVERITY", "ALERT"]))?;
        for row in rows {
            let alert = match &row.detector {
                Some(detector) => format!("{} ({detector})", row.alert),
                None => row.alert.clone(),
            };
            let metric = row.metric.as_deref().unwrap_or("-");
            print_line(&line([&row.since, &row.device, metric, &row.severity, &alert]))?;
        }
    }
    Ok(Exit::Fine)
}

fn line([since, device, metric, severity, alert]: [&str; 5]) -> String {
    tail::printable(format!("{since:<24}  {device:<24}  {metric:<16}  {severity:<8}  {alert}"))
}

fn report(request: &Request, answer: Answer, json: bool) -> Result<Exit, Failure> {
    let Request { device, metric, hold } = request;
    let (acknowledged, others) = match answer {
        Answer::Done { acknowledged, others } => (acknowledged, others),
        Answer::UnknownDevice => {
            let text = format!("no device is called `{device}`; `riser acknowledge` lists what is raised");
            return Err(Failure::new(Exit::Usage, text));
        }
        Answer::UnknownMetric => {
            let metric = metric.as_deref().unwrap_or_default();
            let text = format!("no metric is called `{metric}`; `riser acknowledge` lists what is raised");
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    if json {
        let answer = serde_json::json!({ "acknowledged": acknowledged, "others": others });
        print_line(&answer.to_string())?;
        return Ok(Exit::Fine);
    }
    for row in &acknowledged {
        let hold = HumanDuration(*hold);
        let text =
            format!("acknowledged: {}; no new alert for {hold} unless it gets clearly worse", name(row));
        print_line(&tail::printable(text))?;
    }
    if acknowledged.is_empty() {
        let of = metric.as_ref().map_or_else(|| device.clone(), |metric| format!("{device} {metric}"));
        print_line(&tail::printable(format!("no anomaly is raised for {of}")))?;
    }
    for row in &others {
        let text = format!(
            "stays raised: {}; noted, so that it is told no more until it ends with its cause",
            name(row)
        );
        print_line(&tail::printable(text))?;
    }
    Ok(Exit::Fine)
}

fn name(row: &Row) -> String {
    let metric = row.metric.as_deref().unwrap_or("as a whole");
    format!("{} {metric}, {} since {}", row.device, row.alert, row.since)
}

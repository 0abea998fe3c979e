//! What one reading costs: `cargo bench -p alerts`.

use std::hint::black_box;
use std::time::Duration;

use alerts::{Alerts, Conditions, Policy, Rule, RuleProblem, RuleSpec, Subject};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::{DeviceId, MetricId, Now, Reading, Score, Severity, Timestamp};

const DEVICES: u32 = 3334;
const METRICS: [&str; 3] = ["temperature", "humidity", "co2"];

fn rules() -> Result<Vec<Rule>, RuleProblem> {
    let when = Conditions { above: Some(40.0), ..Conditions::default() };
    let too_hot = RuleSpec {
        name: "too-hot".into(),
        metric: Some("temperature".into()),
        when,
        hold_for: Duration::ZERO,
        clear_by: 0.5,
        severity: Severity::Critical,
        devices: Vec::new(),
        zones: vec!["floor-1/*".to_owned()],
        expression: None,
        policy: Policy::default(),
    };
    Ok(vec![Rule::try_from(too_hot)?, Rule::anomaly(0.5)?])
}

/// Each about one device of another name.
fn thousand_thresholds() -> Result<Vec<Rule>, RuleProblem> {
    let rule = |number: u32| RuleSpec {
        name: format!("rule-{number}").into(),
        metric: Some("temperature".into()),
        when: Conditions { above: Some(40.0), ..Conditions::default() },
        hold_for: Duration::ZERO,
        clear_by: 0.5,
        severity: Severity::Critical,
        devices: vec![if number < 5 { "lounge".into() } else { format!("device-{number}") }],
        zones: Vec::new(),
        expression: None,
        policy: Policy::default(),
    };
    (0..1000).map(|number| Rule::try_from(rule(number))).collect()
}

/// Five of which match each device.
fn expressions() -> Result<Vec<Rule>, RuleProblem> {
    let rule = |number: u32| RuleSpec {
        name: format!("rule-{number}").into(),
        metric: None,
        when: Conditions::default(),
        hold_for: Duration::ZERO,
        clear_by: 0.0,
        severity: Severity::Critical,
        devices: vec![if number < 5 { "lounge".into() } else { format!("device-{number}") }],
        zones: Vec::new(),
        expression: Some("co2 > 1000 && temperature > 25 + humidity / 100".into()),
        policy: Policy::default(),
    };
    (0..200).map(|number| Rule::try_from(rule(number))).collect()
}

/// 3,334 devices with three metrics in turn, none of them an anomaly.
fn bench(c: &mut Criterion, name: &str, rules: Vec<Rule>) {
    let mut alerts = Alerts::new(rules);
    let mut out = Vec::new();
    let (mut turn, mut at) = (0_u32, 1_795_132_800_000);
    c.bench_function(name, |b| {
        b.iter(|| {
            turn = (turn + 1) % (DEVICES * 3);
            at += 1;
            let metric_name = METRICS.get((turn % 3) as usize).copied().unwrap_or("co2");
            let (device, metric) = (DeviceId(turn / 3), MetricId(turn % 3));
            let zone = Some("floor-2/lounge");
            let subject = Subject { device, device_name: "lounge", zone, metric, metric_name };
            let at = Timestamp::from_millis(at);
            let reading = Reading { device, metric, value: 21.0, at };
            alerts.observe(black_box(&subject), &reading, &Score::NONE, Now::at(at), &mut out);
        });
    });
    assert!(out.is_empty());
}

fn observe(c: &mut Criterion) {
    bench(c, "Alerts::observe, no rule matches the series", Vec::new());
    bench(c, "Alerts::observe, the anomaly rule matches the series", rules().unwrap_or_default());
    bench(c, "Alerts::observe, 1,000 rules, five match", thousand_thresholds().unwrap_or_default());
    bench(c, "Alerts::observe, 200 expressions, five match", expressions().unwrap_or_default());
}

criterion_group!(benches, observe);
criterion_main!(benches);

//! What the model of a device promises, on simulated rooms.

use gateway_core::Timestamp;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const WINDOW_MILLIS: i64 = 300_000;
/// Windows of five minutes in 30 days.
const MONTH: usize = 8_640;

fn at(index: usize) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + i64::try_from(index).unwrap() * WINDOW_MILLIS)
}

/// About normal, with variance 1.
fn noise(rng: &mut StdRng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// A radiator: the wider its valve, the warmer the water that leaves it; the room does not depend on either.
fn radiator(rng: &mut StdRng, index: usize) -> Vec<(&'static str, f64)> {
    let day = (index % 288) as f64 / 288.0 * std::f64::consts::TAU;
    let valve = (50.0 + 30.0 * day.sin() + 8.0 * noise(rng)).clamp(0.0, 100.0);
    let warmer = 2.0 + 0.2 * valve + 0.8 * noise(rng);
    vec![("valve", valve), ("warmer", warmer), ("room", 21.0 + 0.5 * noise(rng))]
}

fn history(
    seed: u64,
    count: usize,
    window: impl Fn(&mut StdRng, usize) -> Vec<(&'static str, f64)>,
) -> Windows {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut windows = Windows::default();
    for index in 0..count {
        windows.push(at(index), at(index + 1), window(&mut rng, index));
    }
    windows
}

fn judge(model: &Model, window: &[(&str, f64)]) -> Verdict {
    model.judge(|name| window.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
}

fn judged(model: &Model, window: &[(&str, f64)]) -> Judgement {
    match judge(model, window) {
        Verdict::Judged(judgement) => judgement,
        other => panic!("{window:?} is not judged: {other:?}"),
    }
}

/// The radiator's, of ten days; fitted once for all tests.
fn of_radiator() -> &'static Model {
    static MODEL: std::sync::LazyLock<Model> =
        std::sync::LazyLock::new(|| fitted(history(1, 2_880, radiator)).model);
    &MODEL
}

fn fitted(windows: Windows) -> Fitted {
    fit(windows, |_| {}).unwrap()
}

#[test]
fn a_broken_relation_is_odd_though_each_value_is_ordinary() {
    let model = of_radiator();
    let closed_but_warm = judged(model, &[("valve", 20.0), ("warmer", 18.0), ("room", 21.0)]);
    assert!(closed_but_warm.score >= 0.5, "{closed_but_warm:?}");
    let open_but_cold = judged(model, &[("valve", 85.0), ("warmer", 7.0), ("room", 21.0)]);
    assert!(open_but_cold.score >= 0.5, "{open_but_cold:?}");
    let ordinary = judged(model, &[("valve", 85.0), ("warmer", 19.0), ("room", 21.0)]);
    assert!(ordinary.score < 0.3, "{ordinary:?}");
}

#[test]
fn what_does_not_fit_is_named_with_what_the_others_lead_to_expect() {
    let model = of_radiator();
    let judgement = judged(model, &[("valve", 85.0), ("warmer", 7.0), ("room", 21.0)]);
    assert!(judgement.misfits.iter().take(2).all(|misfit| &*misfit.metric != "room"), "{judgement:?}");
    let warmer = judgement.misfits.iter().find(|misfit| &*misfit.metric == "warmer").unwrap();
    assert!((warmer.value - 7.0).abs() < 1e-9);
    assert!((warmer.expected - 19.0).abs() < 1.5, "{warmer:?}");
    assert!(warmer.deviations > 5.0);
}

#[test]
fn ordinary_months_hardly_ever_reach_one_half() {
    for seed in 0..2 {
        let model = fitted(history(seed, 2_016, radiator)).model;
        let mut rng = StdRng::seed_from_u64(seed + 100);
        let judgement = (0..MONTH)
            .filter(|index| match judge(&model, &radiator(&mut rng, *index)) {
                Verdict::Judged(judgement) => judgement.score >= 0.5,
                Verdict::Alone(_) | Verdict::TooLittle => false,
            })
            .count();
        assert!(judgement <= 1, "{judgement} windows of an ordinary month after training {seed}");
    }
}

#[test]
fn a_value_out_of_its_range_is_left_to_its_own_detectors() {
    let model = of_radiator();
    let hot = judge(model, &[("valve", 50.0), ("warmer", 12.0), ("room", 35.0)]);
    assert_eq!(hot, Verdict::Alone("room".into()));
}

#[test]
fn a_missing_metric_is_done_without() {
    let model = of_radiator();
    assert!(judged(model, &[("valve", 85.0), ("warmer", 7.0)]).score >= 0.5);
    assert!(judged(model, &[("valve", 85.0), ("warmer", 19.0)]).score < 0.3);
    assert_eq!(judge(model, &[("valve", 50.0)]), Verdict::TooLittle);
    assert_eq!(judge(model, &[("valve", f64::NAN), ("warmer", 12.0)]), Verdict::TooLittle);
}

/// Heats in winter and cools in summer: the farther from the middle, the more power, on either side.
fn heat_pump(rng: &mut StdRng, index: usize) -> Vec<(&'static str, f64)> {
    let turn = (index % 97) as f64 / 97.0 * std::f64::consts::TAU;
    vec![
        ("flow", 30.0 + 10.0 * turn.cos() + 0.4 * noise(rng)),
        ("power", 5.0 + 3.0 * turn.sin() + 0.1 * noise(rng)),
    ]
}

#[test]
fn a_relation_that_is_no_line_is_picked_as_a_mixture() {
    let fitted = fitted(history(2, 2_000, heat_pump));
    assert!(matches!(fitted.model.shape(), Shape::Mixture(2..)), "{:?}", fitted.candidates);
    let within_the_ring = judged(&fitted.model, &[("flow", 30.0), ("power", 5.0)]);
    assert!(within_the_ring.score >= 0.5, "{within_the_ring:?}");
    assert!(judged(&fitted.model, &[("flow", 40.0), ("power", 5.0)]).score < 0.5);
}

#[test]
fn off_and_on_are_two_modes() {
    let pump = |rng: &mut StdRng, index: usize| {
        let on = index % 40 < 15;
        let (power, flow) = if on { (60.0, 2.0) } else { (1.0, 0.1) };
        vec![
            ("power", power + 0.5 * noise(rng)),
            ("flow", flow + 0.02 * noise(rng)),
            ("room", 20.0 + noise(rng)),
        ]
    };
    let model = fitted(history(3, 1_000, pump)).model;
    let runs_dry = judged(&model, &[("power", 60.0), ("flow", 0.1), ("room", 20.0)]);
    assert!(runs_dry.score >= 0.5, "{runs_dry:?}");
    assert!(judged(&model, &[("power", 60.0), ("flow", 2.0), ("room", 20.0)]).score < 0.5);
}

#[test]
fn outliers_in_the_history_hide_nothing() {
    let with_incident = |rng: &mut StdRng, index: usize| match index {
        600..610 | 1_950..1_954 => vec![("valve", 90.0), ("warmer", 3.0), ("room", 21.0)],
        _ => radiator(rng, index),
    };
    let model = fitted(history(1, 2_000, with_incident)).model;
    assert!(judged(&model, &[("valve", 85.0), ("warmer", 7.0), ("room", 21.0)]).score >= 0.5);
}

#[test]
fn the_same_history_gives_the_same_model() {
    let fit = || fitted(history(5, 400, radiator));
    assert_eq!(fit(), fit());
}

#[test]
fn candidates_are_told_and_the_likeliest_is_picked() {
    let mut tried = Vec::new();
    let fitted = fit(history(1, 600, radiator), |candidate| tried.push(candidate.clone())).unwrap();
    assert_eq!(tried, fitted.candidates);
    assert!(tried.contains(&Candidate { shape: Shape::Pca(1), likelihood: tried[0].likelihood }));
    let likelihood_of = |candidate: &Candidate| candidate.likelihood.unwrap();
    let best = tried.iter().map(likelihood_of).fold(f64::MIN, f64::max);
    let picked = tried.iter().position(|candidate| candidate.shape == fitted.model.shape()).unwrap();
    assert!(likelihood_of(&tried[picked]) > best - 0.1, "{tried:?}");
    assert!(tried[..picked].iter().all(|simpler| likelihood_of(simpler) < likelihood_of(&tried[picked])));
    assert_eq!(fitted.windows, 600);
}

#[test]
fn counters_constants_and_rare_metrics_are_left_out() {
    let window = |rng: &mut StdRng, index: usize| {
        let mut window = radiator(rng, index);
        window.extend([("energy", index as f64), ("setpoint", 21.0)]);
        if index.is_multiple_of(3) {
            window.push(("co2", 400.0 + 20.0 * noise(rng)));
        }
        window
    };
    let fitted = fitted(history(1, 600, window));
    let mut left_out = fitted.left_out;
    left_out.sort();
    let expected = [("co2", LeftOut::Seldom), ("energy", LeftOut::Counter), ("setpoint", LeftOut::Constant)];
    assert_eq!(left_out, expected.map(|(name, why)| (name.into(), why)));
    assert_eq!(fitted.model.metrics().collect::<Vec<_>>(), ["room", "valve", "warmer"]);
}

#[test]
fn a_history_that_is_too_small_is_told_why() {
    let few = fit(history(1, 199, radiator), |_| {}).unwrap_err();
    assert_eq!(few.to_string(), "199 windows with all of its metrics are too few: a model needs 200");
    let one = |rng: &mut StdRng, _: usize| vec![("room", noise(rng)), ("setpoint", 21.0)];
    let one = fit(history(1, 500, one), |_| {}).unwrap_err();
    assert_eq!(
        one.to_string(),
        "a model needs two metrics that vary, this device has one (setpoint is constant)"
    );
    assert!(fit(Windows::default(), |_| {}).is_err());
}

#[test]
fn a_model_of_eight_metrics_is_small() {
    let window = |rng: &mut StdRng, _: usize| {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let common = noise(rng);
        names.into_iter().map(|name| (name, common + noise(rng))).collect()
    };
    let model = fitted(history(1, 500, window)).model;
    let bytes = postcard::to_stdvec(&model).unwrap().len();
    assert!(bytes < 4_096, "{bytes} bytes for {}", model.shape());
}

/// Columns that are hard to fit: constant, equal, of two values, huge, tiny, growing.
fn degenerate(kind: u8, index: usize, random: f64) -> f64 {
    match kind {
        0 => 7.0,
        1 => f64::from(u8::from(index.is_multiple_of(2))),
        2 => random * 1e300,
        3 => random * 1e-200,
        4 => f64::from(u8::from(index == 150)),
        5 => (index / 50) as f64,
        6 => (index % 3) as f64 * 1e9,
        7 => f64::NAN,
        8 => f64::INFINITY,
        _ => random,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn degenerate_histories_never_panic(
        kinds in prop::collection::vec(0u8..12, 0..6),
        random in prop::collection::vec(-1.0f64..1.0, 260),
        same in any::<bool>(),
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut windows = Windows::default();
        for (index, random) in random.iter().enumerate() {
            // Equal columns where `same`.
            let value = |column: usize, kind: u8| {
                degenerate(kind, index, if same { *random } else { random * (column + index % 7) as f64 })
            };
            let row = kinds.iter().enumerate().zip(names).map(|((column, kind), name)| (name, value(column, *kind)));
            windows.push(at(index), at(index + 1), row);
        }
        if let Ok(fitted) = fit(windows, |_| {}) {
            for value in [0.0, 1.0, -1e300, 1e-300, f64::NAN, f64::INFINITY] {
                if let Verdict::Judged(judgement) = fitted.model.judge(|_| Some(value)) {
                    prop_assert!((0.0..=1.0).contains(&judgement.score), "{judgement:?}");
                }
            }
        }
    }
}

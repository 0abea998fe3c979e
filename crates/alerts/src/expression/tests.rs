use proptest::prelude::*;

use super::*;

/// Evaluates with values by name as it stands in the text.
fn holds(text: &str, values: &[(&str, f64)]) -> Option<bool> {
    let expression = Expression::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let value = |variable: &Variable| {
        let name = variable.to_string();
        values.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
    };
    let values: Vec<f64> = expression.variables().iter().map(value).collect();
    expression.evaluate(&values)
}

#[test]
fn operators_bind_as_everywhere() {
    for (text, expected) in [
        ("a + b * c == 7", true),
        ("(a + b) * c == 9", true),
        ("a == 1 || b == 3 && c == 4", true),
        ("(a == 1 || b == 3) && c == 4", false),
        ("-a + b > 0", true),
        ("c - b - a == 0", true),
        ("c % b == 1", true),
        ("!(a > 5) && b < c", true),
        ("abs(a - c) == 2", true),
        ("max(a, min(b, c)) == 2", true),
        ("a >= 1 && a <= 1 && a != 2", true),
        ("c / b > 1.4e0", true),
        ("a == true", true),
        ("(a > 0) == true", true),
        ("a == false", false),
    ] {
        let values = [("a", 1.0), ("b", 2.0), ("c", 3.0)];
        assert_eq!(holds(text, &values), Some(expected), "{text}");
    }
}

#[test]
fn names_say_whose_value_and_which() {
    let values = [("co2", 1.0), ("avg.co2", 2.0), ("zone.co2", 3.0), ("zone.max.co2", 4.0), ("a.b", 5.0)];
    assert_eq!(
        holds("co2 == 1 && avg.co2 == 2 && zone.co2 == 3 && zone.max.co2 == 4 && a.b == 5", &values),
        Some(true)
    );
    assert_eq!(holds("`room-1 co2` > 5", &[("room-1 co2", 6.0)]), Some(true));
    let repeated = Expression::parse("co2 > 1 && co2 < 5").unwrap();
    assert_eq!(repeated.variables().len(), 1);
}

#[test]
fn what_is_not_there_makes_no_alert() {
    for (text, expected) in [
        ("gone > 1", None),
        ("!(gone > 1)", None),
        ("gone > 1 || a == 1", Some(true)),
        ("gone > 1 && a == 1", None),
        ("gone > 1 && a == 2", Some(false)),
        ("max(gone, a) == 1", None),
        ("a / (a - a) > 5", Some(true)),
        ("(a - a) / (a - a) > 5", None),
    ] {
        assert_eq!(holds(text, &[("a", 1.0)]), expected, "{text}");
    }
}

#[test]
fn a_problem_says_where_and_what() {
    for (text, at, reason) in [
        ("co2 = 5", 4, "write `==`"),
        ("co2 > ", 6, "it ends here"),
        ("co2 > 5 & b == 1", 8, "write `&&`"),
        ("co2 + 5", 0, "this is a number"),
        ("co2 && b == 1", 4, "joins comparisons"),
        ("co2 > 5 > 3", 8, "two comparisons"),
        ("sum(a, b) > 1", 0, "no function `sum`"),
        ("1 < 2", 0, "names no metric"),
        ("(co2 > 5", 8, "`)`"),
        ("co2 > 5 )", 8, "an operator"),
        ("co2 == 'high'", 7, "metrics are numbers"),
        ("avg. > 5", 0, "names no metric"),
        ("abs(a > 1) > 2", 4, "expected a number"),
        ("!co2", 0, "`!` needs"),
        ("1.2.3 < a", 0, "no number"),
        ("`co2 > 1", 0, "has no end"),
    ] {
        let problem = Expression::parse(text).expect_err(text);
        assert!(problem.at == at && problem.reason.contains(reason), "{text}: {problem:?}");
    }
    assert!(Expression::parse(&"!".repeat(999)).is_err());
    assert!(Expression::parse(&format!("{}a > 1{}", "(".repeat(40), ")".repeat(40))).is_err());
    assert!(Expression::parse(&format!("a > 1{}", " ".repeat(1000))).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[-+*/%!<>=&|()`,.a-c0-9e \"]{0,60}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate(&[1.0, f64::NAN, -1.0]);
        }
    }

    #[test]
    fn sums_are_what_rust_computes(a in -1e6..1e6, b in -1e6..1e6, c in -1e6..1e6) {
        let values = [("a", a), ("b", b), ("c", c)];
        prop_assert_eq!(holds("a + b * c - a / c > b", &values), Some(a + b * c - a / c > b));
        prop_assert_eq!(holds("a < b && !(b < c) || a > c", &values), Some(a < b && b >= c || a > c));
    }
}

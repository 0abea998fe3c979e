//! The subject that a record is published to.
//!
//! Source: docs.nats.io, "Subject-Based Messaging": tokens are separated by dots; white space, `*` and `>` are not allowed.

use gateway_core::percent;
use outbox::Lane;
use record::Record;

/// What stands between braces.
const NAMES: [&str; 3] = ["gateway", "kind", "device"];

/// The subject's pattern, such as `riser.{gateway}.{kind}.{device}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Gateway,
    Kind,
    Device,
}

impl Pattern {
    /// # Errors
    /// It is no pattern of a subject. Why.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
        if text.split('.').any(str::is_empty) || text.contains(is_bad) || text.starts_with('$') {
            return Err("is no subject: its parts between dots are not empty, it has no white space, no `*` and no `>`, and \
                        does not begin with `$`"
                .to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a `{` without `}`")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name {
                "gateway" => Part::Gateway,
                "kind" => Part::Kind,
                "device" => Part::Device,
                other => {
                    return Err(format!("has the unknown `{{{other}}}`; there are: {}", NAMES.join(", ")));
                }
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Pattern(parts))
    }

    /// The subject that stands for all that it makes: `riser.*.*.*`.
    pub(super) fn wildcard(&self) -> String {
        let text: String =
            self.0.iter().map(|part| if let Part::Text(text) = part { text } else { "*" }).collect();
        let token = |token: &str| if token.contains('*') { "*".to_owned() } else { token.to_owned() };
        text.split('.').map(token).collect::<Vec<_>>().join(".")
    }

    /// The subject of a record.
    pub(super) fn of(&self, lane: Lane, record: &Record) -> String {
        let mut subject = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => subject.push_str(text),
                Part::Gateway => push_token(&mut subject, record.gateway()),
                Part::Kind => subject.push_str(lane.as_str()),
                Part::Device => push_token(&mut subject, &record.device()),
            }
        }
        subject
    }
}

/// White space, control characters and `. * >` are percent-encoded.
fn push_token(subject: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>') {
            percent::push(subject, c);
        } else {
            subject.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Timestamp;
    use record::Reading;

    use super::*;

    fn reading(device: &str) -> Record {
        Record::Reading(Reading {
            gateway: "hq".to_owned(),
            device: device.to_owned(),
            zone: None,
            protocol: None,
            time: Timestamp::EPOCH,
            number: 0,
            same_time: false,
            metrics: vec![],
        })
    }

    #[test]
    fn names_become_tokens() {
        let usual = Pattern::parse("riser.{gateway}.{kind}.{device}").unwrap();
        assert_eq!(usual.of(Lane::Readings, &reading("lounge/1")), "riser.hq.readings.lounge/1");
        assert_eq!(
            usual.of(Lane::Readings, &reading("a.b *>\u{a0}ü%")),
            "riser.hq.readings.a%2Eb%20%2A%3E%C2%A0ü%"
        );
        assert_eq!(usual.wildcard(), "riser.*.*.*");
        let other = Pattern::parse("b.x-{device}.{kind}").unwrap();
        assert_eq!(other.of(Lane::Readings, &reading("d")), "b.x-d.readings");
        assert_eq!(other.wildcard(), "b.*.*");
    }

    #[test]
    fn a_pattern_that_makes_no_subject_is_refused() {
        for text in ["", "a..b", "a.", "a b", "a.*", ">", "$JS.a", "a.{zone}", "a.{device", "a.{}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}

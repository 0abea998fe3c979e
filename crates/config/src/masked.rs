//! A configuration's text as it may be shown: with each secret as `***`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::shape::{Shape, Text};

const MASK: &str = "\"***\"";

/// What is shown instead of a piece of the text.
type Secrets = Vec<(Range<usize>, String)>;

/// `text` without its secrets: values of keys that are secret, what an address may hold of them, and what stands in keys that are
/// not known. Comments stay.
pub(crate) fn masked(text: &str, shape: &Shape) -> String {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut secrets = Secrets::new();
    in_table(table.get_ref(), Some(shape), Place::Root, &mut secrets);
    secrets.sort_by_key(|(place, _)| place.start);
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for (Range { start, end }, mask) in secrets {
        // A place inside of one that is masked already.
        if start < at {
            continue;
        }
        shown.push_str(text.get(at..start).unwrap_or_default());
        shown.push_str(&mask);
        at = end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown.lines().map(comment).collect()
}

/// A line; one that is a comment loses the value of a key that sounds secret, and what an address holds of secrets.
fn comment(line: &str) -> String {
    let key = line.trim_start().strip_prefix('#').and_then(|rest| rest.split_once('='));
    let is_secret = |key: &str| {
        let key = key.to_lowercase();
        let sounds =
            ["password", "token", "secret", "key", "psk", "pin"].iter().any(|word| key.contains(word));
        sounds && !key.contains("_file")
    };
    match key {
        Some((key, _)) if is_secret(key) => {
            format!("{}= {MASK}\n", line.split('=').next().unwrap_or_default())
        }
        Some((_, value)) if masked_address(value, false).is_some() => {
            format!("{}= {MASK}\n", line.split('=').next().unwrap_or_default())
        }
        _ => format!("{line}\n"),
    }
}

/// Where in the document a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// `[sinks]` itself.
    Sinks,
    /// `[sinks.http.*]`, `[notify.*]`: the path of an address there is often a secret itself, as that of a webhook.
    Webhooks,
    Elsewhere,
}

impl Place {
    fn inside(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "notify") | (Self::Sinks, "http") | (Self::Webhooks, _) => Self::Webhooks,
            (Self::Root, "sinks") => Self::Sinks,
            _ => Self::Elsewhere,
        }
    }
}

fn in_table(table: &DeTable<'_>, shape: Option<&Shape>, place: Place, secrets: &mut Secrets) {
    for (key, value) in table.iter() {
        let inner = match shape {
            Some(Shape::Table { fields, .. }) => {
                fields.iter().find(|field| field.name == *key.get_ref()).map(|field| &field.shape)
            }
            Some(Shape::Names(item)) => Some(&**item),
            _ => None,
        };
        // Headers of HTTP hold tokens, under any name.
        let inner = if key.get_ref() == "headers" { None } else { inner };
        in_value(value, inner, place.inside(key.get_ref()), secrets);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, shape: Option<&Shape>, place: Place, secrets: &mut Secrets) {
    match (value.get_ref(), shape) {
        (DeValue::Table(table), _) => in_table(table, shape, place, secrets),
        (DeValue::Array(items), Some(Shape::List(item))) => {
            items.iter().for_each(|one| in_value(one, Some(item), place, secrets));
        }
        (DeValue::Array(items), _) => items.iter().for_each(|one| in_value(one, None, place, secrets)),
        (DeValue::String(_), None | Some(Shape::Text(Text::Secret))) => {
            secrets.push((value.span(), MASK.to_owned()));
        }
        (DeValue::String(text), _) => {
            let masked = masked_address(text, place == Place::Webhooks);
            secrets.extend(masked.map(|shown| (value.span(), quoted(&shown))));
        }
        _ => {}
    }
}

/// A string of TOML. What cannot stand in one line as it is, is not shown.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) || text.chars().any(char::is_control) {
        return MASK.to_owned();
    }
    format!("\"{text}\"")
}

/// An address without what may be secret in it: user and password, the values of its query, what follows `#`, and with `hide_path`
/// its path. None where there is nothing of that, and for a text that is no address.
fn masked_address(text: &str, hide_path: bool) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, ""), |(rest, _)| (rest, "#***"));
    let (rest, query) =
        rest.split_once('?').map_or((rest, String::new()), |(rest, query)| (rest, masked_query(query)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // Several addresses in one text.
    if path.contains("://")
        || query.contains("://")
        || authority.matches('@').count() > 1
        || path.contains('@')
    {
        return Some("***".to_owned());
    }
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => authority.to_owned(),
    };
    let path = if hide_path && path.len() > 1 { "/***" } else { path };
    let shown = format!("{scheme}://{authority}{path}{query}{fragment}");
    (shown != text).then_some(shown)
}

/// Names stay, values do not.
fn masked_query(query: &str) -> String {
    let part = |part: &str| part.split_once('=').map_or("***".to_owned(), |(name, _)| format!("{name}=***"));
    format!("?{}", query.split('&').map(part).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_everything_but_secrets() {
        let text = "# ours\n[upstream]\nurl = \"mqtt://u:geheim@cloud\"\npassword = \'geheim\'\nusername = \"hq\"\n\
                    [broker.users.floor]\npassword = \"geheim\" # floor\npublish = [\"sensors/#\"]\n\
                    [sinks.http.x]\nurl = \"http://a\"\nheaders = { Authorization = \"Bearer geheim\" }\n\
                    [adapters.coap.lan.psk]\nhall = { key = \"geheim\", devices = [\"hall\"] }\n\
                    [unknown]\nthing = \"geheim\"\n#password = \"geheim\"\n# api_token = \"geheim\"\n\
                    [sinks.http.y]\nurl = \"http://a/?key=geheim\"\n#password_file = \"here\"\n";
        let shown = masked(text, &Shape::of_config());
        assert!(!shown.contains("geheim"), "{shown}");
        for kept in [
            "# ours",
            "username = \"hq\"",
            "\"***\" # floor",
            "publish = [\"sensors/#\"]",
            "devices = [\"hall\"]",
            "url = \"http://a\"",
            "#password_file = \"here\"",
        ] {
            assert!(shown.contains(kept), "{kept} in\n{shown}");
        }
    }

    #[test]
    fn an_address_keeps_what_is_no_secret() {
        for (text, shown) in [
            ("https://u:geheim@host:1/a?token=geheim&x#geheim", "https://***@host:1/a?token=***&***#***"),
            ("mqtts://token@cloud/a", "mqtts://***@cloud/a"),
            ("nats://a:b@h1:1,nats://c:d@h2:2", "***"),
            ("http://host/a@b", "***"),
        ] {
            assert_eq!(masked_address(text, false).as_deref(), Some(shown), "{text}");
        }
        for text in ["https://host/a/b", "sensors/{device}/a?b", "mqtt://cloud:1883", "/dev/ttyUSB0"] {
            assert_eq!(masked_address(text, false), None, "{text}");
        }
        assert_eq!(masked_address("https://hooks/T0/B0/geheim", true).as_deref(), Some("https://hooks/***"));
        assert_eq!(masked_address("https://hooks/", true), None);
    }

    #[test]
    fn paths_of_webhooks_are_hidden_and_other_paths_are_not() {
        let text = "[sinks.http.x]\nurl = \"https://hooks.example.com/T0/geheim\"\n\
                    [sinks.influxdb.y]\nurl = \"https://db.example.com/base\"\n\
                    [notify.z]\nurl = \"https://other.example.com/geheim\"\n\
                    # url = \"https://u:geheim@host\"\n# url = \"https://host/path\"\n\
                    [adapters.mqtt.a]\nurl = \"mqtt://u:geheim@floor:1883\"\n";
        let shown = masked(text, &Shape::of_config());
        assert!(!shown.contains("geheim"), "{shown}");
        for kept in [
            "\"https://hooks.example.com/***\"",
            "\"https://db.example.com/base\"",
            "# url = \"https://host/path\"",
            "\"mqtt://***@floor:1883\"",
        ] {
            assert!(shown.contains(kept), "{kept} in\n{shown}");
        }
    }
}

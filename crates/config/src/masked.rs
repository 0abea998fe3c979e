//! A configuration's text as it may be shown: with each secret as `***`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::shape::{Shape, Text};

const MASK: &str = "\"***\"";

/// `text` without its secrets: values of keys that are secret, passwords in addresses, and what stands in keys that are
/// not known. Comments stay.
pub(crate) fn masked(text: &str, shape: &Shape) -> String {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut secrets = Vec::new();
    in_table(table.get_ref(), Some(shape), &mut secrets);
    secrets.sort_by_key(|secret| secret.start);
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for Range { start, end } in secrets {
        // A place inside of one that is masked already.
        if start < at {
            continue;
        }
        shown.push_str(text.get(at..start).unwrap_or_default());
        shown.push_str(MASK);
        at = end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown.lines().map(comment).collect()
}

/// A line; one that is a comment loses the value of a key that sounds secret.
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
        _ => format!("{line}\n"),
    }
}

fn in_table(table: &DeTable<'_>, shape: Option<&Shape>, secrets: &mut Vec<Range<usize>>) {
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
        in_value(value, inner, secrets);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, shape: Option<&Shape>, secrets: &mut Vec<Range<usize>>) {
    match (value.get_ref(), shape) {
        (DeValue::Table(table), _) => in_table(table, shape, secrets),
        (DeValue::Array(items), Some(Shape::List(item))) => {
            items.iter().for_each(|one| in_value(one, Some(item), secrets));
        }
        (DeValue::Array(items), _) => items.iter().for_each(|one| in_value(one, None, secrets)),
        (DeValue::String(_), None | Some(Shape::Text(Text::Secret))) => secrets.push(value.span()),
        (DeValue::String(text), _) if has_password(text) => secrets.push(value.span()),
        _ => {}
    }
}

/// Whether it is an address with a user's password in it, or with a query, which may hold a token.
fn has_password(text: &str) -> bool {
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    if rest.contains('?') {
        return true;
    }
    let user = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
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
}

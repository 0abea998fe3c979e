//! Makes topic filters that do not overlap.
//!
//! A broker may deliver a message once for each matching subscription (MQTT 5, section 3.3.4). Such duplicates look like
//! two readings with the same payload. Therefore two overlapping filters become the narrowest filter that covers both, and
//! messages that match neither are ignored.

/// As few filters as needed so that every topic that one of `filters` matches is matched by exactly one.
pub(crate) fn without_overlaps(filters: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for mut filter in filters {
        // The wider filter may overlap others that did not overlap before.
        while let Some(at) = kept.iter().position(|other| overlap(other, &filter)) {
            filter = union(&kept.remove(at), &filter);
        }
        kept.push(filter);
    }
    kept
}

/// Whether some topic matches both.
fn overlap(left: &str, right: &str) -> bool {
    let hidden = |one: &str, other: &str| one.starts_with('$') && other.starts_with(['+', '#']);
    if hidden(left, right) || hidden(right, left) {
        return false;
    }
    let (mut left, mut right) = (left.split('/'), right.split('/'));
    loop {
        match (left.next(), right.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

/// The narrowest filter that covers two overlapping ones.
fn union(left: &str, right: &str) -> String {
    let (mut left, mut right) = (left.split('/'), right.split('/'));
    let mut levels = Vec::new();
    loop {
        match (left.next(), right.next()) {
            (None, None) => break,
            (Some(a), Some(b)) if a != "#" && b != "#" => levels.push(if a == b { a } else { "+" }),
            _ => {
                levels.push("#");
                break;
            }
        }
    }
    levels.join("/")
}

#[cfg(test)]
mod tests;

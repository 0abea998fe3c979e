//! Subscriptions that do not overlap.
//!
//! A broker may deliver a message once for each subscription that it matches (MQTT 5, section 3.3.4), and two readings
//! with one payload are two readings, so what came twice cannot be told from what was sent twice. So two overlapping
//! filters are subscribed to as the narrowest one that holds both; what nobody asked for is left aside afterwards.

/// As few filters as needed so that every topic that one of `filters` matches is matched by exactly one.
pub(crate) fn without_overlaps(filters: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for mut filter in filters {
        // The wider one may overlap others that were apart before.
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

/// The narrowest filter that holds both of two that overlap.
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

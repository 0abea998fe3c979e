//! "Did you mean": the allowed name that a misspelt one is nearest to.

/// `; did you mean "x"?`, or nothing where nothing is near: a third of the longer name may differ, at least one letter.
pub(crate) fn did_you_mean<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let name = name.to_lowercase();
    let near = |candidate: &'a str| {
        let distance = strsim::damerau_levenshtein(&name, candidate);
        let tolerance = (name.chars().count().max(candidate.chars().count()) / 3).max(1);
        (distance <= tolerance).then_some((distance, candidate))
    };
    let nearest = allowed.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, found)| format!("; did you mean \"{found}\"?")).unwrap_or_default()
}

//! A hash of settings, to find out whether they have changed.

/// A number for `text` that is the same for the same text in every run of this version.
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().hash_one(text)
}

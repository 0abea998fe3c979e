/// What to say where something is asked for that this program was built without: the cargo feature `feature`, which
/// people know as `name`.
#[must_use]
pub fn left_out(name: &str, feature: &str) -> String {
    format!(
        "this riser was built without {name}; use the one of the Debian package, or build it with the cargo feature \
         `{feature}`"
    )
}

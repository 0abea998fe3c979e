//! Who may do what, as the caller decides.

/// Permissions. `client` is the client id, `user` is `None` for an anonymous client.
pub trait Policy: Send + Sync {
    /// Whether the client may publish to `topic`.
    fn may_publish(&self, user: Option<&str>, client: &str, topic: &str) -> bool;
    /// Whether the client may read all that `filter` matches.
    fn may_subscribe(&self, user: Option<&str>, client: &str, filter: &str) -> bool;
    /// Whether such a user may connect at all.
    fn admits(&self, user: Option<&str>) -> bool;
}

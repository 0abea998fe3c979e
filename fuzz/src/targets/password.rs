//! The text of a password file: a password, or an Argon2 hash as a PHC string.

use broker::PasswordSource;

pub(crate) fn run(data: &[u8]) {
    let text = riser_fuzz::text(data);
    if let Ok(PasswordSource::Plain(password)) = PasswordSource::from_text(text) {
        assert!(!password.expose().is_empty());
        assert!(text.starts_with(password.expose()));
    }
}

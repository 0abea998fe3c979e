//! The text of a password file: a password, or an Argon2 hash as a PHC string.
#![no_main]

use broker::PasswordSource;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(PasswordSource::Plain(password)) = PasswordSource::from_text(text) {
        assert!(!password.expose().is_empty());
        assert!(text.starts_with(password.expose()));
    }
});

use argon2::password_hash::{PasswordHasher, SaltString};

use super::*;

fn hashed(password: &str) -> PasswordSource {
    let salt = SaltString::encode_b64(b"sixteen bytes of").unwrap();
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).unwrap();
    PasswordSource::from_text(&hash.to_string()).unwrap()
}

#[test]
fn a_files_last_newline_is_not_part_of_the_password() {
    for text in ["geheim", "geheim\n", "geheim\r\n"] {
        match PasswordSource::from_text(text).unwrap() {
            PasswordSource::Plain(secret) => assert_eq!(secret.expose(), "geheim"),
            PasswordSource::Argon2Hash(_) => panic!("no hash"),
        }
    }
}

#[test]
fn refuses_empty_passwords_and_broken_hashes() {
    assert_eq!(PasswordSource::from_text("\n").unwrap_err(), InvalidPassword::Empty);
    assert!(matches!(
        PasswordSource::from_text("$argon2id$v=19$nonsense"),
        Err(InvalidPassword::Hash { .. })
    ));
}

#[test]
fn refuses_a_hash_that_would_cost_too_much() {
    let hash = |params: &str| format!("$argon2id$v=19${params}$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(PasswordSource::from_text(&hash("m=65536,t=3,p=4")).is_ok());
    for params in ["m=656594656,t=2,p=1", "m=65536,t=1844744052,p=1", "m=65536,t=3,p=1844744056"] {
        let refused = PasswordSource::from_text(&hash(params)).unwrap_err();
        assert!(refused.to_string().contains("is more than"), "{refused}");
    }
}

#[tokio::test]
async fn accepts_the_right_password_only() {
    for source in [PasswordSource::from_text("geheim").unwrap(), hashed("geheim")] {
        let verifier = Verifier::new(source);
        assert!(!verifier.accepts(b"falsch").await);
        assert!(verifier.accepts(b"geheim").await);
        assert!(verifier.accepts(b"geheim").await, "a second time, from memory");
        assert!(!verifier.accepts(b"geheix").await);
        assert!(!verifier.accepts(b"").await);
        assert!(!verifier.accepts(b"\xff\xfe").await);
    }
}

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
            other => panic!("{other:?}"),
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
    let peer = "10.0.0.1".parse().unwrap();
    for source in [PasswordSource::from_text("geheim").unwrap(), hashed("geheim")] {
        let verifier = Verifier::new(source);
        for (password, expected) in [
            (&b"falsch"[..], Checked::Wrong),
            (b"geheim", Checked::Right),
            (b"geheim", Checked::Right),
            (b"geheix", Checked::Wrong),
            (b"", Checked::Wrong),
            (b"\xff\xfe", Checked::Wrong),
        ] {
            assert_eq!(verifier.check(password, peer).await, expected, "{password:?}");
        }
    }
}

/// Each check takes memory and time by design, so a flood of wrong passwords must not be checked at once.
#[tokio::test]
async fn a_flood_of_wrong_passwords_leaves_turns_for_the_right_one_and_ends_with_it() {
    let verifier = std::sync::Arc::new(Verifier::new(hashed("geheim")));
    let flood: Vec<_> = (0..100)
        .map(|_| {
            let verifier = std::sync::Arc::clone(&verifier);
            tokio::spawn(async move { verifier.check(b"falsch", "10.0.0.9".parse().unwrap()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(verifier.check(b"geheim", "10.0.0.1".parse().unwrap()).await, Checked::Right);
    let mut busy = 0;
    for one in flood {
        match one.await.unwrap() {
            Checked::Busy => busy += 1,
            Checked::Wrong => {}
            Checked::Right => panic!("it is wrong"),
        }
    }
    assert_eq!(busy, 100 - turns::MOST_OF_ONE, "one address has this many turns");
    assert_eq!(
        verifier.check(b"falsch", "10.0.0.9".parse().unwrap()).await,
        Checked::Wrong,
        "without a hash"
    );
}

/// The memory of all checks is one buffer, which the largest hash has made larger than others need.
#[test]
fn hashes_of_every_kind_are_checked_one_after_the_other() {
    use argon2::{Algorithm, Version};
    let salt = SaltString::encode_b64(b"sixteen bytes of").unwrap();
    for _ in 0..2 {
        for (kib, lanes, length) in [(64, 3, 24), (4_096, 1, 32), (256, 4, 64)] {
            for algorithm in [Algorithm::Argon2i, Algorithm::Argon2d, Algorithm::Argon2id] {
                for version in [Version::V0x10, Version::V0x13] {
                    let params = Params::new(kib, 2, lanes, Some(length)).unwrap();
                    let argon2 = Argon2::new(algorithm, version, params);
                    let hash = argon2.hash_password(b"geheim", &salt).unwrap().to_string();
                    assert!(matches(&hash, &Secret::new("geheim".to_owned())), "{hash}");
                    assert!(!matches(&hash, &Secret::new("geheix".to_owned())), "{hash}");
                }
            }
        }
    }
}

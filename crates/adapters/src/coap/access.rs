//! Access control: the devices that a DTLS identity may report and read.

use std::collections::HashMap;

use coap_link::dtls::{Key, KeyError, Keys};
use coap_link::{Identity, Peer};

/// One DTLS identity.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The identity that the device sends.
    pub identity: String,
    /// The pre-shared key.
    pub key: Key,
    /// Names or addresses of devices with `*` and `?`.
    pub devices: Vec<String>,
}

/// The device patterns of each identity.
#[derive(Debug)]
pub(super) struct Access(HashMap<Identity, Vec<String>>);

impl Access {
    pub(super) fn new(holders: &[Holder]) -> Self {
        let patterns = |holder: &Holder| (Identity::from(&*holder.identity), holder.devices.clone());
        Self(holders.iter().map(patterns).collect())
    }

    /// Whether `peer` may report and read a device that is called any of `names`.
    pub(super) fn allows(&self, peer: &Peer, names: &[&str]) -> bool {
        let Some(identity) = &peer.identity else { return true };
        let patterns = self.0.get(identity).into_iter().flatten();
        patterns.into_iter().any(|pattern| names.iter().any(|name| fits(pattern, name)))
    }
}

/// The keys of all identities.
pub(super) fn keys(holders: &[Holder]) -> Result<Keys, KeyError> {
    let mut keys = Keys::new();
    for holder in holders {
        keys.insert(Identity::from(&*holder.identity), holder.key.clone())?;
    }
    Ok(keys)
}

/// `*` stands for any text, `?` for one character. Takes at most the product of both lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // The position to retry from, with the last `*` matching one more character.
    let mut again = None;
    loop {
        let name_before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = name_before;
                again = Some((pattern.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, mut later)) = again.take() else { return false };
                if later.next().is_none() {
                    return false;
                }
                (pattern, name) = (after_star.clone(), later.clone());
                again = Some((after_star, later));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("a*c", "abcbc"),
            ("?b*", "abx"),
            ("é?", "éé"),
            ("*a*b", "xaab"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("a", ""), ("a", "ab"), ("?", ""), ("a*c", "acb"), ("*a*b", "ba"), ("A", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        let stars = "*a".repeat(100);
        assert!(!fits(&stars, &"a".repeat(99)));
    }

    #[test]
    fn an_identity_has_its_devices_and_a_peer_in_the_clear_has_all() {
        let key = Key::new(vec![7; 16]).unwrap();
        let devices = vec!["lounge".to_owned(), "hall-*".to_owned()];
        let access = Access::new(&[Holder { identity: "one".to_owned(), key, devices }]);
        let address = "192.0.2.1:5684".parse().unwrap();
        let one = Peer::secured(address, Identity::from("one"));
        assert!(access.allows(&one, &["lounge"]) && access.allows(&one, &["A4:C1", "hall-3"]));
        assert!(!access.allows(&one, &["kitchen"]) && !access.allows(&one, &[]));
        assert!(!access.allows(&Peer::secured(address, Identity::from("two")), &["lounge"]));
        assert!(access.allows(&Peer::unsecured(address), &["kitchen"]));
    }
}

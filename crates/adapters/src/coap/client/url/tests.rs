use proptest::prelude::*;

use super::*;

fn url(text: &str) -> CoapUrl {
    text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
}

fn refused(text: &str) -> UrlError {
    text.parse::<CoapUrl>().expect_err(text)
}

#[test]
fn a_url_says_where_and_what() {
    let plain = url("coap://10.0.0.9/temperature");
    assert_eq!((plain.is_secured(), plain.host(), plain.port()), (false, "10.0.0.9", 5683));
    assert_eq!(
        (plain.path(), plain.query(), plain.host_name()),
        (&["temperature".to_owned()][..], &[][..], None)
    );
    assert_eq!(plain.to_string(), "coap://10.0.0.9/temperature");

    let full = url("COAPS://AHU-3.lan:5000/a%2Fb/%C3%A4/?unit=C&x=%26");
    assert_eq!((full.is_secured(), full.host(), full.port()), (true, "ahu-3.lan", 5000));
    assert_eq!(full.path(), ["a/b", "ä", ""], "a slash at the end is a segment of its own (RFC 7252, 6.4)");
    assert_eq!(
        (full.query(), full.host_name()),
        (&["unit=C".to_owned(), "x=&".to_owned()][..], Some("ahu-3.lan"))
    );

    for root in ["coap://h", "coap://h/", "coap://h:"] {
        assert_eq!((url(root).path(), url(root).port()), (&[][..], 5683), "{root}");
    }
    assert_eq!(url("coaps://h").port(), 5684);
}

#[test]
fn an_ipv6_address_stands_in_brackets_and_a_link_local_one_names_its_interface() {
    let global = url("coap://[2001:DB8::1]:61616/x");
    assert_eq!((global.host(), global.port(), global.host_name()), ("2001:db8::1", 61616, None));
    let local = url("coap://[fe80::1%25eth0]/x");
    assert_eq!((local.host(), local.host_name()), ("fe80::1%eth0", None));
}

#[test]
fn what_is_no_address_of_a_resource_is_refused_with_a_reason() {
    for (text, error) in [
        ("10.0.0.9/temperature", UrlError::Scheme),
        ("http://10.0.0.9/", UrlError::Scheme),
        ("coap+tcp://10.0.0.9/", UrlError::Scheme),
        ("coap:///x", UrlError::Host),
        ("coap://[10.0.0.9]/x", UrlError::Host),
        ("coap://[::1/x", UrlError::Host),
        ("coap://[::1]x/x", UrlError::Host),
        ("coap://h:0/x", UrlError::Port),
        ("coap://h:65536/x", UrlError::Port),
        ("coap://h:+1/x", UrlError::Port),
        ("coap://::1/x", UrlError::Host),
        ("coap://h/x#y", UrlError::Fragment),
        ("coap://me@h/x", UrlError::User),
        ("coap://h/%", UrlError::Percent),
        ("coap://h/%4", UrlError::Percent),
        ("coap://h/%ff", UrlError::Percent),
        ("coap://h/a b", UrlError::Space),
        ("coap://h/a\n", UrlError::Space),
    ] {
        assert_eq!(refused(text), error, "{text:?}");
    }
    assert_eq!(refused(&format!("coap://h/{}", "x".repeat(256))), UrlError::Long);
    assert_eq!(refused(&format!("coap://h/{}", "x/".repeat(600))), UrlError::Long);
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_taken_can_be_sent(text in "(coaps?://)?[\\[\\]a-z0-9:.%/?&@#\u{e4} ]{0,40}") {
        if let Ok(url) = text.parse::<CoapUrl>() {
            prop_assert!(!url.host().is_empty() && url.port() != 0);
        }
    }
}

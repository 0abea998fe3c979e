//! Other people's clients at our server.

use std::net::SocketAddr;

use coap_link::Identity;
use coap_link::dtls::{CloseReason, HandshakeFailure, Output};

use crate::dtls::loops::{IDENTITY, KEY, OUR_SUITE, Running, Serving, hex, run, serve, until};

fn echo(plaintext: &[u8]) -> Vec<u8> {
    [b"received ", plaintext].concat()
}

/// A CoAP answer 2.05 with the request's token, for any request.
fn content(request: &[u8]) -> Vec<u8> {
    let token = usize::from(request[0] & 0x0F);
    let head = [0x60 | request[0] & 0x0F, 0x45, request[2], request[3]];
    [&head, &request[4..4 + token], &[0xFF], b"21.5 degrees"].concat()
}

/// `options`: above all `-cipher`. OpenSSL leaves our suite out unless asked, for its short tag.
fn s_client(server: SocketAddr, identity: &str, key: &str, options: &[&str]) -> Running {
    let (server, key) = (server.to_string(), hex(key));
    let mut arguments = vec!["s_client", "-dtls1_2", "-quiet", "-psk_identity", identity, "-psk", &key];
    arguments.extend(["-connect", &server]);
    arguments.extend(options);
    run("openssl", &arguments)
}

fn coap_client(program: &str, server: SocketAddr, identity: &str, key: &str) -> Running {
    let url = format!("coaps://{server}/temperature");
    run(program, &["-m", "get", "-B", "5", "-u", identity, "-k", key, &url])
}

/// Waits until the server has refused this one last.
fn until_refused(serving: &Serving, expected: &(Option<Identity>, HandshakeFailure)) {
    let last = || {
        serving.said().into_iter().rev().find_map(|output| match output {
            Output::Refused { identity, reason, .. } => Some((identity, reason)),
            _ => None,
        })
    };
    until(|| last().as_ref() == Some(expected), || format!("{:?}", serving.said()));
}

#[test]
fn openssl_opens_a_session_and_goes_on_while_others_with_wrong_keys_are_refused() {
    let serving = serve(echo);
    let mut good = s_client(serving.address, IDENTITY, KEY, OUR_SUITE);
    good.type_in("21.5\n");
    good.until_printed("received 21.5");

    for (identity, reason) in
        [("sensor02", HandshakeFailure::WrongKey), ("sensor99", HandshakeFailure::UnknownIdentity)]
    {
        let mut bad = s_client(serving.address, identity, "some wrong key", OUR_SUITE);
        bad.until_ended();
        assert!(bad.printed().contains("alert decrypt error"), "{}", bad.printed());
        until_refused(&serving, &(Some(Identity::from(identity)), reason));
    }

    good.type_in("22.5\n");
    good.until_printed("received 22.5");
}

#[test]
fn openssl_says_good_bye() {
    let serving = serve(echo);
    let mut client = s_client(serving.address, IDENTITY, KEY, &[OUR_SUITE, &["-no_ign_eof"]].concat());
    client.type_in("21.5\n");
    client.until_printed("received 21.5");
    client.end_input();
    let closed = |output: &Output| matches!(output, Output::Closed { reason: CloseReason::ByPeer, .. });
    until(|| serving.said().iter().any(closed), || format!("{:?}", serving.said()));
}

#[test]
fn openssl_with_other_suites_alone_is_told_so() {
    let serving = serve(echo);
    let mut client = s_client(serving.address, IDENTITY, KEY, &["-cipher", "PSK-AES256-GCM-SHA384"]);
    client.until_ended();
    assert!(client.printed().contains("alert handshake failure"), "{}", client.printed());
    until_refused(&serving, &(None, HandshakeFailure::NoCommonSuite));
}

#[test]
fn libcoaps_clients_get_their_answers_and_with_a_wrong_key_none() {
    for program in ["coap-client-openssl", "coap-client-gnutls"] {
        let serving = serve(content);
        for (identity, key, reason) in [
            (IDENTITY, "a wrong key", HandshakeFailure::WrongKey),
            ("sensor99", KEY, HandshakeFailure::UnknownIdentity),
        ] {
            let mut bad = coap_client(program, serving.address, identity, key);
            bad.until_ended();
            assert!(!bad.printed().contains("21.5 degrees"), "{program}: {}", bad.printed());
            until_refused(&serving, &(Some(Identity::from(identity)), reason));
        }
        for (identity, key) in [(IDENTITY, KEY), ("sensor02", "another key of another length")] {
            let mut good = coap_client(program, serving.address, identity, key);
            good.until_ended();
            assert!(good.printed().contains("21.5 degrees"), "{program}: {}", good.printed());
        }
    }
}

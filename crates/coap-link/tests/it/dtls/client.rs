//! Our client at other people's servers.

use std::net::{SocketAddr, TcpListener};

use coap_link::dtls::Output;

use crate::dtls::loops::{IDENTITY, KEY, OUR_SUITE, converse, hex, run};

/// GET /.well-known/core, confirmable.
const DISCOVER: &[u8] = b"\x40\x01\x12\x34\xBB.well-known\x04core";

/// A port that was free just now, and so is, most likely, the next one.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn plain(said: &[Output]) -> Vec<u8> {
    let bytes = |output: &Output| match output {
        Output::Plain { bytes, .. } => Some(bytes.clone()),
        _ => None,
    };
    said.iter().filter_map(bytes).flatten().collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[test]
fn openssls_server_hears_us_and_answers() {
    let port = free_port();
    let (accept, key) = (port.to_string(), hex(KEY));
    // -listen: with a cookie.
    let mut arguments = vec!["s_server", "-dtls1_2", "-nocert", "-listen", "-psk", &key, "-accept", &accept];
    arguments.extend(OUR_SUITE);
    let mut server = run("openssl", &arguments);
    server.until_printed("ACCEPT");
    let mut typed = false;
    let said = converse(at(port), IDENTITY, KEY, b"21.5\n", |said| {
        if !typed && server.printed().contains("21.5") {
            server.type_in("thank you\n");
            typed = true;
        }
        !plain(said).is_empty()
    });
    assert_eq!(plain(&said), b"thank you\n");
}

#[test]
fn libcoaps_servers_answer_us() {
    for program in ["coap-server-openssl", "coap-server-gnutls"] {
        // Its DTLS is on the port after the one named.
        let port = free_port();
        let server =
            run(program, &["-A", "127.0.0.1", "-p", &port.to_string(), "-k", KEY, "-h", "a hint", "-v", "7"]);
        server.until_printed("created DTLS endpoint");
        let server_at = at(port + 1);
        let said = converse(server_at, IDENTITY, KEY, DISCOVER, |said| !plain(said).is_empty());
        assert!(contains(&plain(&said), "</time>"), "{program}: {said:?}");
    }
}

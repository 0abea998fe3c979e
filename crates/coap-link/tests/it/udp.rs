//! Engines on real sockets of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io;
use std::time::Duration;

use bytes::Bytes;
use coap_link::{
    Code, ContentFormat, Endpoint, Engine, Method, Observe, Output, Peer, Request, RequestFailure, Response,
    Settings, Udp,
};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn endpoint(address: &str, settings: Settings) -> (Endpoint, Peer) {
    let udp = Udp::bind(address.parse().unwrap()).expect("a free port");
    let peer = Peer::unsecured(udp.local_address().unwrap());
    (Endpoint::new(Engine::new(settings), udp), peer)
}

fn client(address: &str) -> Endpoint {
    endpoint(address, Settings { seed: 1, ..Settings::default() }).0
}

/// Gives back each body; notifies after each request.
async fn serve(mut server: Endpoint) {
    loop {
        if let Output::Request { id, request, .. } = server.next().await.expect("the socket works") {
            let now = server.now();
            let body = Response { payload: request.payload, ..Response::new(Code::CONTENT) };
            server.engine().respond_observable(id, "value", body, now);
            server.engine().notify("value", Response::content(ContentFormat::TEXT, "news"), now);
        }
    }
}

async fn ask(client: &mut Endpoint, peer: &Peer, request: Request) -> Result<Response, RequestFailure> {
    let now = client.now();
    client.engine().request(peer, request, now).expect("there is room");
    match timeout(SOON, client.next()).await.expect("an answer").expect("the socket works") {
        Output::Response { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn large_bodies_go_both_ways_over_ipv4_and_ipv6() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (server, peer) = endpoint(address, Settings::default());
        let server = tokio::spawn(serve(server));
        let body = Bytes::from(vec![7; 100_000]);
        let request = Request::new(Method::Post, "value").with_payload(ContentFormat::OCTETS, body.clone());
        let response = ask(&mut client(address), &peer, request).await.expect("it is answered");
        assert_eq!(response.payload, body);
        server.abort();
    }
}

#[tokio::test]
async fn an_observer_hears_the_news() {
    let (server, peer) = endpoint("127.0.0.1:0", Settings::default());
    let server = tokio::spawn(serve(server));
    let mut client = client("127.0.0.1:0");
    let request = Request { observe: Some(Observe::Register), ..Request::new(Method::Get, "value") };
    ask(&mut client, &peer, request).await.expect("it is answered");
    let news = timeout(SOON, client.next()).await.expect("news").expect("the socket works");
    assert!(matches!(news, Output::Notification { response, .. } if &response.payload[..] == b"news"));
    server.abort();
}

#[tokio::test]
async fn who_is_not_there_is_given_up() {
    let (gone, peer) = endpoint("127.0.0.1:0", Settings::default());
    drop(gone);
    let settings = Settings { ack_timeout: Duration::from_millis(20), ..Settings::default() };
    let (mut client, _) = endpoint("127.0.0.1:0", settings);
    let result = ask(&mut client, &peer, Request::new(Method::Get, "value")).await;
    assert_eq!(result, Err(RequestFailure::TimedOut));
}

#[tokio::test]
async fn a_port_is_not_shared_with_a_second_endpoint_also_after_joining_the_groups() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let mut first = Udp::bind(address.parse().unwrap()).expect("a free port");
        first.join_all_coap_nodes().expect("our own socket works");
        let taken = first.local_address().unwrap();
        let second = Udp::bind(taken).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(second, Err(io::ErrorKind::AddrInUse));
    }
}

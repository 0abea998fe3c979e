//! A tiny CoAP client, to try other implementations against:
//! `cargo run -p coap-link --example client -- get 127.0.0.1:5683 /time`
//!
//! The first word is `get`, `observe` (which ends after five answers) or a method with a body: `post` or `put`, whose
//! body is the next argument, or as many bytes as `bytes:N` says.

use bytes::Bytes;
use coap_link::{ContentFormat, Endpoint, Engine, Method, Observe, Output, Peer, Request, Settings, Udp};

/// How often the observed value is printed.
const ANSWERS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, address, path, rest @ ..] = &arguments[..] else {
        return Err("usage: client get|observe|post|put ADDRESS:PORT PATH [BODY|bytes:N]".into());
    };
    let peer = Peer::unsecured(address.parse()?);
    let unspecified = if peer.address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let settings = Settings { seed: rand::random(), ..Settings::default() };
    let mut endpoint = Endpoint::new(Engine::new(settings), Udp::bind(unspecified.parse()?)?);
    let now = endpoint.now();
    let token = endpoint.engine().request(&peer, request(what, path, rest)?, now)?;
    for _ in 0..ANSWERS {
        match endpoint.next().await? {
            Output::Response { result, observing, .. } => {
                let response = result?;
                say(&format!("{} {}", response.code, text(&response.payload)));
                if !observing {
                    return Ok(());
                }
            }
            Output::Notification { response, .. } => say(&format!("news: {}", text(&response.payload))),
            other => say(&format!("{other:?}")),
        }
    }
    let now = endpoint.now();
    endpoint.engine().cancel(token, now);
    // So that the other side hears of it.
    let goodbye = tokio::time::timeout(std::time::Duration::from_millis(200), endpoint.next());
    drop(goodbye.await);
    Ok(())
}

fn request(what: &str, path: &str, rest: &[String]) -> Result<Request, Box<dyn std::error::Error>> {
    let method = match what {
        "get" | "observe" => Method::Get,
        "post" => Method::Post,
        "put" => Method::Put,
        other => return Err(format!("no method {other}").into()),
    };
    let mut request = Request::new(method, path);
    if what == "observe" {
        request.observe = Some(Observe::Register);
    }
    if let Some(body) = rest.first() {
        let body = match body.strip_prefix("bytes:") {
            Some(count) => Bytes::from("0123456789".repeat(count.parse::<usize>()?.div_ceil(10))),
            None => Bytes::from(body.clone()),
        };
        request = request.with_payload(ContentFormat::TEXT, body);
    }
    Ok(request)
}

fn text(payload: &[u8]) -> String {
    match payload {
        short if short.len() <= 200 => short.escape_ascii().to_string(),
        long => format!("{} bytes", long.len()),
    }
}

#[expect(clippy::print_stdout, reason = "an example has a person in front of it")]
fn say(line: &str) {
    println!("{line}");
}

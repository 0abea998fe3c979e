//! A tiny CoAP server, to try other implementations against: `cargo run -p coap-link --example echo -- 127.0.0.1:5683`
//!
//! It prints each request unless `quiet` follows the address.
//!
//! - `GET /time` the seconds since it began, observable: a notification each second
//! - `GET /large` 5,000 bytes; `GET /slow` an answer after 3 s
//! - `POST /echo` gives back what it got; `PUT /value` keeps it for `GET /value`

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coap_link::{
    Code, ContentFormat, Endpoint, Engine, Method, Output, Request, RequestId, Response, Settings, Udp,
};
use tokio::time::{MissedTickBehavior, interval};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5683".to_owned());
    let mut udp = Udp::bind(address.parse()?)?;
    for failed in udp.join_all_coap_nodes()? {
        eprintln(&format!("{failed}: {}", failed.source));
    }
    eprintln(&format!("listening on {}", udp.local_address()?));
    let mut endpoint = Endpoint::new(Engine::new(Settings::default()), udp);
    let mut server = Server {
        began: endpoint.now(),
        value: Response::new(Code::NOT_FOUND),
        slow: VecDeque::new(),
        quiet: std::env::args().nth(2).is_some_and(|word| word == "quiet"),
    };
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            output = endpoint.next() => match output? {
                Output::Request { id, request, .. } => server.answer(&mut endpoint, id, request),
                other if !server.quiet => eprintln(&format!("{other:?}")),
                _ => {}
            },
            _ = second.tick() => server.tick(&mut endpoint),
        }
    }
}

struct Server {
    began: Instant,
    value: Response,
    slow: VecDeque<(Instant, RequestId)>,
    quiet: bool,
}

impl Server {
    fn answer(&mut self, endpoint: &mut Endpoint, id: RequestId, request: Request) {
        let now = endpoint.now();
        let path = request.path.join("/");
        if !self.quiet {
            eprintln(&format!("{:?} /{path}, {} bytes", request.method, request.payload.len()));
        }
        let response = match (request.method, path.as_str()) {
            (Method::Get, "time") => {
                let response = self.time(now);
                return endpoint.engine().respond_observable(id, "time", response, now);
            }
            (Method::Get, "slow") => return self.slow.push_back((now + Duration::from_secs(3), id)),
            (Method::Get, "large") => Response::content(ContentFormat::TEXT, "0123456789".repeat(500)),
            (Method::Get, "value") => self.value.clone(),
            (Method::Put, "value") => {
                self.value = Response {
                    code: Code::CONTENT,
                    payload: request.payload,
                    ..Response::new(Code::CONTENT)
                };
                Response::new(Code::CHANGED)
            }
            (Method::Post, "echo") => Response {
                content_format: request.content_format,
                payload: request.payload,
                ..Response::new(Code::CHANGED)
            },
            (Method::Get, ".well-known/core") => {
                Response::content(ContentFormat::LINK_FORMAT, "</time>;obs,</large>,</slow>,</value>,</echo>")
            }
            _ => Response::error(Code::NOT_FOUND, "see examples/echo.rs"),
        };
        endpoint.engine().respond(id, response, now);
    }

    fn tick(&mut self, endpoint: &mut Endpoint) {
        let now = endpoint.now();
        let time = self.time(now);
        endpoint.engine().notify("time", time, now);
        while let Some((_, id)) = self.slow.pop_front_if(|(at, _)| *at <= now) {
            endpoint.engine().respond(id, Response::content(ContentFormat::TEXT, "at last"), now);
        }
    }

    fn time(&self, now: Instant) -> Response {
        let seconds = now.duration_since(self.began).as_secs();
        Response::content(ContentFormat::TEXT, seconds.to_string()).with_max_age(Duration::from_secs(5))
    }
}

#[expect(clippy::print_stderr, reason = "an example has a person in front of it")]
fn eprintln(line: &str) {
    eprintln!("{line}");
}

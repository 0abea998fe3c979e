//! The simulated nodes against a server on real sockets. tests/test_simulate_coap.py covers DTLS and an independent server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what is not there fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use coap_link::{Code, ContentFormat, Endpoint, Engine, Method, Output, Peer, Request, RequestId, Response};
use coap_link::{Settings, Udp};
use gateway_core::Timestamp;
use simulator::coap::{ENDPOINTS, Target, send};
use simulator::{Building, Load, Sent, SimulateError};
use testkit::clock::ManualClock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NOON: Timestamp = Timestamp::from_millis(1_795_176_000_000);

/// A server in a task; returns the received posts when it is stopped.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Vec<(Peer, Request)>>,
}

impl Server {
    /// `answer` sees how many posts came before; `None`: no answer, and not even an acknowledgement.
    fn start(answer: impl Fn(usize, &Request) -> Option<Response> + Send + 'static) -> Self {
        let udp = Udp::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = udp.local_address().unwrap();
        let silent = Duration::from_secs(3600);
        let settings = Settings { acknowledge_after: silent, answer_within: silent, ..Settings::default() };
        let mut endpoint = Endpoint::new(Engine::new(settings), udp);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut posts = Vec::new();
            loop {
                let output = tokio::select! {
                    output = endpoint.next() => output.unwrap(),
                    () = stopped.cancelled() => return posts,
                };
                let Output::Request { id, peer, request, .. } = output else { panic!("{output:?}") };
                let response = match request.method {
                    Method::Get => Some(Response::content(ContentFormat::LINK_FORMAT, "</sensors>")),
                    _ => answer(posts.len(), &request),
                };
                if request.method == Method::Post {
                    posts.push((peer, request));
                }
                respond(&mut endpoint, id, response);
            }
        });
        Self { address, stop, task }
    }

    async fn posts(self) -> Vec<(Peer, Request)> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

fn respond(endpoint: &mut Endpoint, id: RequestId, response: Option<Response>) {
    let now = endpoint.now();
    if let Some(response) = response {
        endpoint.engine().respond(id, response, now);
    }
}

fn changed(_: usize, _: &Request) -> Option<Response> {
    Some(Response::new(Code::CHANGED))
}

async fn simulate(to: SocketAddr, devices: usize, rate: f64, millis: u64) -> Result<Sent, SimulateError> {
    let building = Building::new(NonZeroUsize::new(devices).unwrap(), 1);
    let load = Load { rate, duration: Some(Duration::from_millis(millis)) };
    let target = Target { address: to, psk: None };
    send(&target, building, load, Arc::new(ManualClock::new(NOON)), CancellationToken::new()).await
}

#[tokio::test]
async fn messages_reported_as_sent_were_posted_once_each() {
    let server = Server::start(changed);
    let sent = simulate(server.address, 10, 200.0, 1000).await.unwrap();
    let posts = server.posts().await;
    assert_eq!((sent.messages, posts.len()), (200, 200));
    // Of five devices one sends a single metric at a time.
    assert_eq!(sent.readings, 160 * 3 + 40);
    assert_eq!((sent.refused, sent.unacknowledged), (0, 0));
    let mut by_device = BTreeMap::<_, u32>::new();
    posts.iter().for_each(|(_, request)| *by_device.entry(request.path[1].clone()).or_default() += 1);
    assert_eq!(by_device.values().collect::<BTreeSet<_>>(), BTreeSet::from([&20]), "{by_device:?}");
    assert_eq!(by_device.len(), 10);
}

#[tokio::test]
async fn each_device_has_its_own_port_and_devices_beyond_the_bound_share_one() {
    let server = Server::start(changed);
    let sent = simulate(server.address, ENDPOINTS + 88, 600.0, 1000).await.unwrap();
    let posts = server.posts().await;
    assert_eq!((sent.messages, posts.len()), (600, 600));
    let mut devices_at = BTreeMap::<SocketAddr, BTreeSet<String>>::new();
    for (peer, request) in posts {
        devices_at.entry(peer.address).or_default().insert(request.path[1].clone());
    }
    assert_eq!(devices_at.len(), ENDPOINTS);
    assert_eq!(devices_at.values().filter(|devices| devices.len() == 2).count(), 88);
}

#[tokio::test]
async fn a_busy_gateway_is_asked_again_after_max_age() {
    let no_room = |before, _: &Request| match before {
        0 => Some(Response::error(Code::SERVICE_UNAVAILABLE, "").with_max_age(Duration::from_secs(1))),
        _ => Some(Response::new(Code::CHANGED)),
    };
    let server = Server::start(no_room);
    let began = tokio::time::Instant::now();
    let sent = simulate(server.address, 1, 10.0, 200).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let posts = server.posts().await;
    assert_eq!((sent.messages, sent.repeated, sent.refused, sent.unacknowledged), (2, 1, 0, 0));
    assert_eq!(posts.len(), 3);
    assert_eq!(posts[0].1.payload, posts[1].1.payload, "the same reading again, before the next one");
    assert_ne!(posts[1].1.payload, posts[2].1.payload);
}

#[tokio::test]
async fn a_refused_post_is_counted_and_not_repeated() {
    let server = Server::start(|_, _| Some(Response::error(Code::BAD_REQUEST, "not today")));
    let sent = simulate(server.address, 3, 100.0, 300).await.unwrap();
    assert_eq!(sent, Sent { refused: 30, ..Sent::default() });
    assert_eq!(server.posts().await.len(), 30);
}

#[tokio::test]
async fn without_an_answer_a_device_has_one_pending_post_and_all_count_as_unacknowledged() {
    let server = Server::start(|_, _| None);
    let sent = simulate(server.address, 4, 100.0, 200).await.unwrap();
    assert_eq!((sent.messages, sent.readings, sent.unacknowledged), (0, 0, 20));
    assert_eq!(server.posts().await.len(), 4, "the others wait behind it");
}

#[tokio::test]
async fn without_a_gateway_the_error_names_a_remedy() {
    // Bound and never read.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = simulate(nobody.local_addr().unwrap(), 1, 10.0, 100).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SimulateError::Unreachable { .. }), "{text}");
    assert!(text.contains("nothing came back") && text.contains("[adapters.coap.*]"), "{text}");
}

#[tokio::test]
async fn an_invalid_rate_is_refused() {
    let error = simulate(SocketAddr::from(([127, 0, 0, 1], 9)), 1, 0.0, 100).await.unwrap_err();
    assert!(matches!(error, SimulateError::BadRate { .. }), "{error}");
}

//! The loop on real sockets, against a device that is an engine on a socket of this machine.

use std::sync::Arc;

use bytes::Bytes;
use coap_link::{ContentFormat, Endpoint, Method, Request, Udp};
use gateway_core::ports::{CommandError, Target};
use gateway_core::{CodecId, DeviceAddress, Timestamp};
use tokio::sync::oneshot;

use super::*;
use crate::coap::{CommandFormat, CommandMethod, Resource};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(43_200_000)
    }
}

fn codecs() -> Codecs {
    Codecs { value: CodecId(0), json: CodecId(1), cbor: CodecId(2), senml: CodecId(3), node: CodecId(4) }
}

fn follow(url: &str, metric: Option<&str>) -> Follow {
    Follow {
        url: Arc::new(url.parse().unwrap()),
        name: url.into(),
        device: DeviceAddress::new("ahu-3").unwrap(),
        metric: metric.map(Box::from),
        has_codec: false,
        every: Duration::from_secs(60),
    }
}

/// A running client side, and what it is in touch with.
struct Running {
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    commands: mpsc::Sender<Command>,
    condition: Condition,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), AdapterError>>,
}

fn start(follow: Vec<Follow>, room: usize) -> Running {
    let (uplinks_out, uplinks) = mpsc::channel(room);
    let (commands, mut commands_in) = mpsc::channel(8);
    let condition = Condition::new(Arc::new(Noon));
    let stop = CancellationToken::new();
    let settings = ClientSettings { follow, servers: Servers::default() };
    let (its_condition, its_stop) = (condition.clone(), stop.clone());
    let task = tokio::spawn(async move {
        let io = Io {
            id: &AdapterId::new("coap", "lan"),
            uplinks: &uplinks_out,
            commands: &mut commands_in,
            condition: &its_condition,
            clock: &Noon,
            stop: &its_stop,
        };
        run(&settings, codecs(), 2_000, io).await
    });
    Running { uplinks, commands, condition, stop, task }
}

impl Running {
    async fn command(&self, url: String) -> Result<(), CommandError> {
        let (done, result) = oneshot::channel();
        let (method, format) = (CommandMethod::Put, CommandFormat::Text);
        let target = Target::new(Resource { url, method, format });
        self.commands.send(Command { target, payload: Bytes::from("1"), done }).await.unwrap();
        result.await.unwrap()
    }

    async fn until_part(&self, url: &str, what: impl Fn(&gateway_core::PartHealth) -> bool) {
        let mut health = self.condition.watch();
        health.wait_for(|health| health.parts.get(url).is_some_and(&what)).await.unwrap();
    }

    async fn end(self) -> Vec<Vec<Uplink>> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        let mut uplinks = self.uplinks;
        let mut last = Vec::new();
        while let Some(batch) = uplinks.recv().await {
            last.push(batch);
        }
        last
    }
}

/// A device: `/t` is observable, with the value 21 and, once observed, 22; `/big` is large; `/relay` takes commands.
async fn device() -> (String, tokio::task::JoinHandle<()>, mpsc::Receiver<Request>) {
    let udp = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let authority = udp.local_address().unwrap().to_string();
    let mut endpoint = Endpoint::new(Engine::new(Settings { seed: 9, ..Settings::default() }), udp);
    let (sender, requests) = mpsc::channel(64);
    let task = tokio::spawn(async move {
        loop {
            let Output::Request { id, request, .. } = endpoint.next().await.unwrap() else { continue };
            let now = endpoint.now();
            let text = |text: &'static str| Response::content(ContentFormat::TEXT, text);
            match (request.method, request.path.first().map_or("", |first| &**first)) {
                (Method::Get, "t") => {
                    endpoint.engine().respond_observable(id, "t", text("21"), now);
                    endpoint.engine().notify("t", text("22"), now);
                }
                (Method::Get, "big") => {
                    let body = "x".repeat(3_000);
                    endpoint.engine().respond(id, Response::content(ContentFormat::TEXT, body), now);
                }
                (Method::Get, "odd") => {
                    let odd = Response::content(ContentFormat(41), "<a/>");
                    endpoint.engine().respond(id, odd, now);
                }
                (Method::Put, "relay") => {
                    endpoint.engine().respond(id, Response::new(Code::CHANGED), now);
                }
                _ => endpoint.engine().respond(id, Response::new(Code::NOT_FOUND), now),
            }
            let _ = sender.try_send(request);
        }
    });
    (authority, task, requests)
}

#[tokio::test]
async fn what_a_device_tells_becomes_uplinks_of_the_device_that_the_configuration_names() {
    let (at, _device, _) = device().await;
    let url = format!("coap://{at}/t");
    let mut running = start(vec![follow(&url, Some("temperature"))], 8);
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(running.uplinks.recv().await.unwrap());
    }
    let texts: Vec<_> = received.iter().map(|uplink| &uplink.payload[..]).collect();
    assert_eq!(texts, [b"21", b"22"]);
    let first = &received[0];
    assert_eq!(
        (first.device.as_ref().unwrap().as_str(), first.metric.as_deref()),
        ("ahu-3", Some("temperature"))
    );
    assert_eq!((first.codec, first.received_at), (codecs().value, Noon.now()));
    running.until_part(&url, |part| part.state == "observing" && part.last_error.is_none()).await;
    running.end().await;
}

#[tokio::test]
async fn a_resource_that_fails_hurts_no_other_and_health_says_why() {
    let (at, _device, _) = device().await;
    let urls = ["t", "nowhere", "big", "odd"].map(|path| format!("coap://{at}/{path}"));
    let all = urls.iter().map(|url| follow(url, None)).chain([follow("coap://no.such.name.invalid/t", None)]);
    let running = start(all.collect(), 8);
    let in_state = |word: &'static str, text: &'static str| {
        move |part: &gateway_core::PartHealth| {
            part.state == word && part.last_error.as_ref().is_some_and(|(_, error)| error.contains(text))
        }
    };
    running.until_part(&urls[0], |part| part.state == "observing").await;
    running.until_part(&urls[1], in_state("down", "the device answered 4.04")).await;
    running.until_part(&urls[2], in_state("down", "more than 2000 bytes")).await;
    running.until_part(&urls[3], in_state("polling", "content format 41")).await;
    running
        .until_part("coap://no.such.name.invalid/t", in_state("down", "cannot look up no.such.name.invalid"))
        .await;
    running.end().await;
}

#[tokio::test]
async fn a_command_reaches_its_device_and_its_refusal_comes_back() {
    let (at, _device, mut requests) = device().await;
    let running = start(Vec::new(), 8);
    assert_eq!(running.command(format!("coap://{at}/relay")).await, Ok(()));
    let request = requests.recv().await.unwrap();
    assert_eq!((request.method, &request.payload[..]), (Method::Put, &b"1"[..]));
    let refused = running.command(format!("coap://{at}/lamp")).await.unwrap_err();
    assert!(refused.to_string().contains("4.04"), "{refused}");
    let unknown = running.command("coap://no.such.name.invalid/relay".to_owned()).await.unwrap_err();
    assert!(matches!(unknown, CommandError::Unreachable { .. }), "{unknown}");
    let secured = running.command(format!("coaps://{at}/relay")).await.unwrap_err();
    assert!(secured.to_string().contains("write it into `servers`"), "{secured}");
    running.end().await;
}

#[tokio::test]
async fn a_pipeline_that_is_behind_holds_up_no_command_and_gets_what_waits_at_the_end() {
    let (at, _device, _) = device().await;
    let mut running = start(vec![follow(&format!("coap://{at}/t"), Some("temperature"))], 1);
    running.until_part(&format!("coap://{at}/t"), |part| part.state == "observing").await;
    // The channel holds one batch; what comes after it waits inside.
    assert_eq!(running.command(format!("coap://{at}/relay")).await, Ok(()));
    let first = running.uplinks.recv().await.unwrap();
    let rest: Vec<_> = running.end().await.into_iter().flatten().collect();
    let texts: Vec<_> = first.iter().chain(&rest).map(|uplink| &uplink.payload[..]).collect();
    assert_eq!(texts, [b"21", b"22"]);
}

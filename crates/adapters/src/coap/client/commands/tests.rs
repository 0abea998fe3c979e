use coap_link::{Code, Output, Settings};

use super::*;

fn resource(url: &str) -> Target {
    Target::new(Resource { url: url.to_owned(), method: CommandMethod::Post, format: CommandFormat::Json })
}

type Done = oneshot::Receiver<Result<(), CommandError>>;

fn command(target: Target) -> (Command, Done) {
    let (done, result) = oneshot::channel();
    (Command { target, payload: Bytes::from("[1]"), done }, result)
}

struct Bench {
    commands: Commands,
    engine: Engine,
    now: Instant,
}

fn bench(settings: Settings) -> Bench {
    Bench {
        commands: Commands::new(AdapterId::new("coap", "lan")),
        engine: Engine::new(settings),
        now: tokio::time::Instant::now().into_std(),
    }
}

fn device() -> Peer {
    Peer::unsecured("10.0.0.9:5683".parse().unwrap())
}

impl Bench {
    /// A command whose request has left.
    fn sent(&mut self) -> (CommandId, Done) {
        let (command, done) = command(resource("coap://10.0.0.9/relay"));
        let (id, _) = self.commands.accept(command).unwrap();
        self.commands.connected(id, &device(), &mut self.engine, self.now).unwrap();
        (id, done)
    }
}

fn outcome(mut done: Done) -> Result<(), CommandError> {
    done.try_recv().expect("it has a result")
}

#[test]
fn a_command_is_one_confirmable_request_and_done_when_the_device_says_so() {
    let mut bench = bench(Settings::default());
    let mut device_engine = Engine::new(Settings { seed: 1, ..Settings::default() });
    let (id, done) = bench.sent();
    let Some(Output::Send { bytes, .. }) = bench.engine.poll() else { panic!("it leaves") };
    device_engine.receive(&device(), &bytes, bench.now);
    let Some(Output::Request { request, .. }) = device_engine.poll() else { panic!("it arrives") };
    assert_eq!((request.method, &request.path[..]), (Method::Post, &["relay".to_owned()][..]));
    assert_eq!((request.content_format, &request.payload[..]), (Some(ContentFormat::JSON), &b"[1]"[..]));
    assert!(request.confirmable && request.host.is_none());
    bench.commands.answered(id, Ok(Response::new(Code::CHANGED)));
    assert_eq!(outcome(done), Ok(()));
    assert_eq!(bench.commands.peers().count(), 0);
}

#[test]
fn a_refusal_and_a_silence_are_told_apart() {
    let mut bench = bench(Settings::default());
    let (id, done) = bench.sent();
    bench.commands.answered(id, Ok(Response::error(Code::METHOD_NOT_ALLOWED, "read only")));
    let refused = outcome(done).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "coap.lan could not send this command: the device answered 4.05: read only"
    );
    let (id, done) = bench.sent();
    bench.commands.answered(id, Err(RequestFailure::TimedOut));
    let unanswered = outcome(done).unwrap_err();
    assert!(matches!(unanswered, CommandError::Unanswered { .. }), "{unanswered}");
    let (id, done) = bench.sent();
    bench.commands.unreachable(id, "cannot look up ahu-3".to_owned());
    let unreachable = outcome(done).unwrap_err();
    assert!(
        unreachable.to_string().ends_with("cannot look up ahu-3; the command was not sent"),
        "{unreachable}"
    );
}

#[test]
fn what_is_no_command_for_a_coap_device_is_refused_at_once() {
    let mut bench = bench(Settings::default());
    for to in [Target::new("hvac/set".to_owned()), resource("http://10.0.0.9/relay")] {
        let (command, done) = command(to);
        assert!(bench.commands.accept(command).is_none());
        assert!(matches!(outcome(done), Err(CommandError::Refused { .. })));
    }
}

#[test]
fn the_number_of_commands_in_flight_is_bounded() {
    let mut bench = bench(Settings { queue_per_peer: MAX_IN_FLIGHT, ..Settings::default() });
    let pending: Vec<Done> = (0..MAX_IN_FLIGHT).map(|_| bench.sent().1).collect();
    let (one_more, refused) = command(resource("coap://10.0.0.9/relay"));
    assert!(bench.commands.accept(one_more).is_none());
    assert!(matches!(outcome(refused), Err(CommandError::Busy { .. })));
    bench.commands.cancel_all();
    for done in pending {
        assert!(matches!(outcome(done), Err(CommandError::Unanswered { .. })));
    }
}

#[test]
fn a_command_for_which_the_engine_has_no_room_is_told_so() {
    let mut bench = bench(Settings { exchanges: 1, ..Settings::default() });
    let (_, _told) = bench.sent();
    let (command, done) = command(resource("coap://10.0.0.9/relay"));
    let (id, _) = bench.commands.accept(command).unwrap();
    assert_eq!(bench.commands.connected(id, &device(), &mut bench.engine, bench.now), None);
    assert!(matches!(outcome(done), Err(CommandError::Unreachable { .. })));
}

//! An engine with a clock, and datagrams made by hand.

use std::time::{Duration, Instant};

use coap_link::{Code, Engine, Output, Peer, Request, RequestId, Response, Settings};
use coap_lite::{CoapOption, MessageType, Packet};

/// The port that every made-up peer has.
pub(crate) const PORT: u16 = 40_000;

/// An engine and its time.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
}

/// A datagram that the engine sent, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) peer: Peer,
    pub(crate) packet: Packet,
    pub(crate) bytes: Vec<u8>,
}

impl Node {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings), now: tokio::time::Instant::now().into_std() }
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll()).collect()
    }

    /// What is sent; fails the test where there is anything else.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        self.outputs()
            .into_iter()
            .map(|output| match output {
                Output::Send { peer, bytes } => Sent::new(peer, &bytes),
                other => panic!("not a datagram: {other:?}"),
            })
            .collect()
    }

    /// The one datagram that is sent, and nothing else happens.
    pub(crate) fn only_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "one datagram and not {sent:?}");
        sent.remove(0)
    }

    pub(crate) fn receive(&mut self, from: &Peer, packet: &Packet) {
        self.receive_bytes(from, &packet.to_bytes_unlimited().unwrap());
    }

    pub(crate) fn receive_bytes(&mut self, from: &Peer, bytes: &[u8]) {
        self.engine.receive(from, bytes, self.now);
    }

    /// The one request that the owner is asked.
    pub(crate) fn asked(&mut self) -> (RequestId, Request) {
        let mut outputs = self.outputs();
        match (outputs.pop(), outputs.len()) {
            (Some(Output::Request { id, request, .. }), 0) => (id, request),
            (last, _) => panic!("one request and not {outputs:?}, {last:?}"),
        }
    }

    /// The datagram goes in, the owner answers, the answer comes out.
    pub(crate) fn exchange(&mut self, from: &Peer, packet: &Packet, answer: Response) -> Sent {
        self.receive(from, packet);
        let (id, _) = self.asked();
        self.engine.respond(id, answer, self.now);
        self.only_sent()
    }

    /// Lets time go by, doing what is due when it is due.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<(Instant, Output)> {
        let end = self.now + time;
        let mut happened = Vec::new();
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.timeout(self.now);
            let outputs = self.outputs();
            happened.extend(outputs.into_iter().map(|output| (self.now, output)));
        }
        self.now = end;
        happened
    }

    /// The same; only what was sent.
    pub(crate) fn sent_within(&mut self, time: Duration) -> Vec<Sent> {
        let happened = self.pass(time);
        happened
            .into_iter()
            .filter_map(|(_, output)| match output {
                Output::Send { peer, bytes } => Some(Sent::new(peer, &bytes)),
                _ => None,
            })
            .collect()
    }
}

impl Sent {
    pub(crate) fn new(peer: Peer, bytes: &[u8]) -> Self {
        let packet = Packet::from_bytes(bytes).expect("what is sent keeps the format");
        Self { peer, packet, bytes: bytes.to_vec() }
    }

    pub(crate) fn kind(&self) -> MessageType {
        self.packet.header.get_type()
    }

    pub(crate) fn id(&self) -> u16 {
        self.packet.header.message_id
    }

    pub(crate) fn code(&self) -> Code {
        Code::from_byte(self.packet.header.code.into())
    }

    pub(crate) fn option(&self, option: CoapOption) -> Option<Vec<u8>> {
        self.packet.get_first_option(option).cloned()
    }

    /// A number in an option.
    pub(crate) fn number(&self, option: CoapOption) -> Option<u32> {
        self.option(option).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }
}

/// A peer on this machine, whose address needs no proof.
pub(crate) fn local() -> Peer {
    Peer::unsecured(([127, 0, 0, 1], PORT).into())
}

/// A peer somewhere else.
pub(crate) fn remote(number: u16) -> Peer {
    let [high, low] = number.to_be_bytes();
    Peer::unsecured(([192, 0, high, low], PORT).into())
}

/// A message with a token.
pub(crate) fn message(kind: MessageType, code: u8, id: u16) -> Packet {
    let mut packet = Packet::new();
    packet.header.set_type(kind);
    packet.header.code = code.into();
    packet.header.message_id = id;
    if code != 0 {
        packet.set_token(vec![0xaa, 0xbb]);
    }
    packet
}

pub(crate) const GET: u8 = 1;
pub(crate) const POST: u8 = 2;

/// A confirmable request for `/value`.
pub(crate) fn request(code: u8, id: u16) -> Packet {
    let mut packet = message(MessageType::Confirmable, code, id);
    packet.add_option(CoapOption::UriPath, b"value".to_vec());
    packet
}

/// The same, not confirmable.
pub(crate) fn plain_request(code: u8, id: u16) -> Packet {
    let mut packet = request(code, id);
    packet.header.set_type(MessageType::NonConfirmable);
    packet
}

pub(crate) fn block(number: u32, more: bool, exponent: u8) -> Vec<u8> {
    let value = number << 4 | u32::from(more) << 3 | u32::from(exponent);
    value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

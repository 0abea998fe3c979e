//! The cost of an uplink without sockets, from a forwarder's datagram to the report to the host, and of hostile datagrams.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use lorawan::creator::DataPayloadCreator;
use lorawan_link::{
    Abp, Activation, Class, DevAddr, DeviceConfig, Eui, Key, Network, Now, Output, Region, Settings,
};

const DEVICES: u32 = 1_000;
/// Frames of each device: 16 bits of counter, and no more than a gap.
const FRAMES: u32 = 60;

fn from() -> SocketAddr {
    ([192, 0, 2, 1], 40_000).into()
}

fn network() -> Network {
    let mut network = Network::new(Settings { status_every: None, ..Settings::new(Region::Eu868) });
    for number in 0..DEVICES {
        let [a, b, ..] = number.to_le_bytes();
        let abp = Abp {
            address: DevAddr::new(number),
            nwk_s_key: Key::new([a; 16]),
            app_s_key: Key::new([b; 16]),
            last_f_cnt_up: None,
            rx: None,
            resets: false,
        };
        let activation = Activation::Abp(abp);
        network.add(DeviceConfig { dev_eui: Eui::new(number.into()), activation, class: Class::A }, None);
    }
    network
}

/// A Cayenne LPP frame of three values in a PUSH_DATA as a forwarder writes it.
fn datagram(number: u32, f_cnt: u32, gateway: u8) -> Vec<u8> {
    let [a, b, ..] = number.to_le_bytes();
    let mut creator = DataPayloadCreator::new();
    creator.set_uplink(true).set_dev_addr(&number.to_le_bytes()).set_fcnt(f_cnt).set_f_port(1);
    let payload = [1, 103, 0, 226, 2, 104, 88, 3, 115, 39, 16];
    let phy = creator.build(&payload, &[], &[a; 16].into(), &[b; 16].into()).unwrap();
    let json = format!(
        r#"{{"rxpk":[{{"tmst":{},"time":"2026-03-01T12:12:47.063638Z","chan":7,"rfch":0,"freq":868.500000,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5","rssi":-88,"lsnr":-0.4,"size":{},"data":"{}"}}]}}"#,
        f_cnt * 1_000 + number,
        phy.len(),
        STANDARD.encode(phy)
    );
    let mut bytes = vec![2, 1, 2, 0, 0xaa, 0x55, 0x5a, 0, 0, 0, 0, gateway];
    bytes.extend(json.into_bytes());
    bytes
}

/// A minimal owner of a network; returns the number of reported uplinks.
fn drain(network: &mut Network) -> u64 {
    let mut uplinks = 0;
    while let Some(output) = network.poll() {
        uplinks += u64::from(matches!(black_box(output), Output::Uplink(_)));
    }
    uplinks
}

struct Clock {
    start: Instant,
    wall: Timestamp,
    micros: u64,
}

impl Clock {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an instant cannot be made in another way")]
        let start = Instant::now();
        Self { start, wall: Timestamp::UNIX_EPOCH, micros: 0 }
    }

    fn after(&mut self, micros: u64) -> Now {
        self.micros += micros;
        let since = Duration::from_micros(self.micros);
        Now { instant: self.start + since, wall: self.wall + since }
    }
}

fn uplink(criterion: &mut Criterion) {
    let turns: Vec<_> =
        (0..FRAMES).flat_map(|f_cnt| (0..DEVICES).map(move |number| (number, f_cnt))).collect();
    for gateways in [1_u8, 2] {
        let datagrams: Vec<Vec<u8>> = turns
            .iter()
            .flat_map(|(number, f_cnt)| (1..=gateways).map(|gateway| datagram(*number, *f_cnt, gateway)))
            .collect();
        let mut group = criterion.benchmark_group("uplink");
        group.sample_size(10).throughput(Throughput::Elements(turns.len() as u64));
        group.bench_function(
            format!("datagram to uplink, {DEVICES} devices, received by {gateways}"),
            |bencher| {
                bencher.iter_batched_ref(
                    || (network(), Clock::new()),
                    |(network, clock)| {
                        let mut uplinks = 0;
                        for datagram in &datagrams {
                            network.receive(from(), datagram, clock.after(20));
                            uplinks += drain(network);
                        }
                        network.timeout(clock.after(200_000));
                        uplinks += drain(network);
                        assert_eq!(uplinks, turns.len() as u64);
                    },
                    criterion::BatchSize::PerIteration,
                );
            },
        );
        group.finish();
    }
}

fn hostile(criterion: &mut Criterion) {
    let mut network = network();
    let mut clock = Clock::new();
    // An address that is known, and a code that is wrong: the dearest to refuse.
    let datagrams: Vec<_> = (0..DEVICES)
        .map(|number| {
            let mut bytes = datagram(number, 1, 1);
            let at = bytes.len() - 8;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            bytes
        })
        .collect();
    let mut group = criterion.benchmark_group("hostile");
    group.throughput(Throughput::Elements(DEVICES.into()));
    group.bench_function("forged frames", |bencher| {
        bencher.iter(|| {
            for datagram in &datagrams {
                network.receive(from(), datagram, clock.after(20));
                assert_eq!(drain(&mut network), 0);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, uplink, hostile);
criterion_main!(benches);

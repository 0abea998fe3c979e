//! The store on a disk that is small and full.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use broker_engine::packet::{decode_connect, split_frame};
use broker_engine::{Closed, ConnectionKey, Limits, Output, Peer, Policy, Rest};
use journal::{DirLock, DiskFile};
use tempfile::TempDir;

use super::*;

struct Everything;

impl Policy for Everything {
    fn may_publish(&self, _: Option<&str>, _: &str, _: &str) -> bool {
        true
    }

    fn may_subscribe(&self, _: Option<&str>, _: &str, _: &str) -> bool {
        true
    }

    fn admits(&self, _: Option<&str>) -> bool {
        true
    }
}

/// The real one, with room for so many bytes.
#[derive(Debug)]
struct SmallDisk {
    dir: PathBuf,
    room: AtomicU64,
}

#[derive(Debug)]
struct SmallFile {
    file: Box<dyn DiskFile>,
    disk: Arc<SmallDisk>,
}

impl DiskFile for SmallFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let files = std::fs::read_dir(&self.disk.dir)?;
        let used: u64 = files.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        let free = self.disk.room.load(Ordering::Relaxed).saturating_sub(used);
        let length = bytes.len().min(usize::try_from(free).unwrap_or(usize::MAX));
        match bytes.get(..length) {
            Some([]) | None => Err(io::ErrorKind::StorageFull.into()),
            Some(bytes) => self.file.append(bytes),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[derive(Debug)]
struct Small(Arc<SmallDisk>);

impl Small {
    fn file(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SmallFile { file: file?, disk: Arc::clone(&self.0) }))
    }
}

impl Disk for Small {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<DirLock> {
        RealDisk.lock_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        RealDisk.length(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(RealDisk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(RealDisk.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

/// An engine with its store on a small disk.
struct Gateway {
    folder: TempDir,
    disk: Arc<SmallDisk>,
    disk_bytes: u64,
    engine: Engine,
    store: Option<Store>,
    now: Now,
}

impl Gateway {
    fn new(room: u64, disk_bytes: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let disk = SmallDisk { dir: folder.path().to_owned(), room: AtomicU64::new(room) };
        let now = Now { monotonic: 1_000, wall: 1_800_000_000 };
        let engine = Engine::new(Limits::default(), Arc::new(Everything), now);
        let mut gateway = Self { folder, disk: Arc::new(disk), disk_bytes, engine, store: None, now };
        gateway.start();
        gateway
    }

    /// As after `kill -9`.
    fn start(&mut self) {
        self.store = None;
        let limits = Limits { queue_bytes: 64 << 20, ..Limits::default() };
        self.engine = Engine::new(limits, Arc::new(Everything), self.now);
        let disk = (Arc::new(Small(Arc::clone(&self.disk))) as Arc<dyn Disk>, self.disk_bytes);
        let every = Duration::from_secs(1);
        self.store =
            Some(Store::open_on(disk, self.folder.path(), every, &mut self.engine, self.now).unwrap());
    }

    /// What happens once a second.
    fn sync(&mut self) -> bool {
        let store = self.store.as_mut().unwrap();
        if let Some(handle) = store.sync_handle() {
            let _ = handle.sync();
        }
        store.synced(&mut self.engine, self.now)
    }

    fn connect(&mut self, id: &str, clean: bool) -> ConnectionKey {
        let mut body = b"\x00\x04MQTT\x04".to_vec();
        body.extend([if clean { 2 } else { 0 }, 0, 0, 0, u8::try_from(id.len()).unwrap()]);
        body.extend(id.as_bytes());
        let peer = Peer { user: None, new_client_id: String::new(), internal: None };
        let key = self.engine.connect(&decode_connect(&body).unwrap(), peer, self.now).unwrap();
        self.write();
        key
    }

    fn write(&mut self) {
        self.store.as_mut().unwrap().write(&mut self.engine);
    }

    fn send(&mut self, key: ConnectionKey, packet: &[u8]) {
        let frame = split_frame(packet, usize::MAX).unwrap().unwrap();
        let _ = self.engine.receive(key, frame, self.now);
        self.write();
    }

    fn publish(&mut self, key: ConnectionKey, topic: u8, payload: &[u8], retain: bool) {
        let length = payload.len() + 5;
        let mut packet = vec![0x32 | u8::from(retain)];
        packet.extend([u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()]);
        packet.extend([0, 1, topic, 0, 9]);
        packet.extend(payload);
        self.send(key, &packet);
    }

    fn output(&mut self, key: ConnectionKey) -> Vec<u8> {
        let (mut bytes, mut output) = (Vec::new(), Output::default());
        while self.engine.output(key, &mut output, 1 << 20, self.now) != Rest::Nothing {}
        output.pieces.iter().for_each(|piece| bytes.extend(piece));
        bytes.extend(output.tail);
        self.write();
        bytes
    }

    /// Reads and acknowledges all messages of the session `away`; returns how many there were.
    fn read_all(&mut self) -> usize {
        let key = self.connect("away", false);
        let mut count = 0;
        loop {
            let bytes = self.output(key);
            let mut rest = &bytes[..];
            let mut ids = Vec::new();
            while let Ok(Ok(frame)) = split_frame(rest, usize::MAX) {
                if rest[0] >> 4 == 3 {
                    let topic = usize::from(u16::from_be_bytes([frame.body[0], frame.body[1]]));
                    ids.push([frame.body[2 + topic], frame.body[3 + topic]]);
                }
                rest = &rest[frame.length..];
            }
            if ids.is_empty() {
                break;
            }
            count += ids.len();
            for [high, low] in ids {
                self.send(key, &[0x40, 2, high, low]);
            }
        }
        self.engine.close(key, Closed::Lost, self.now);
        self.write();
        count
    }

    /// Publishes for the session `away` until the disk refuses; returns how many messages were written, and the others.
    fn fill(&mut self) -> (usize, usize) {
        let from = self.connect("from", true);
        self.publish(from, b'r', b"kept", true);
        let away = self.connect("away", false);
        self.send(away, b"\x82\x06\x00\x01\x00\x01q\x01");
        self.engine.close(away, Closed::Lost, self.now);
        let (mut written, mut more) = (0, 0);
        while more < 20 {
            self.publish(from, b'q', &[b'x'; 16_000], false);
            let works = self.sync();
            written += usize::from(works);
            more += usize::from(!works);
        }
        self.engine.close(from, Closed::Lost, self.now);
        self.write();
        (written, more)
    }

    fn retained(&mut self) -> String {
        let key = self.connect("reader", true);
        self.send(key, b"\x82\x06\x00\x01\x00\x01r\x00");
        let got = self.output(key);
        self.engine.close(key, Closed::Lost, self.now);
        self.write();
        String::from_utf8_lossy(&got[got.len().saturating_sub(4)..]).into_owned()
    }
}

#[test]
fn a_full_disk_frees_itself_when_its_messages_were_read() {
    for disk_bytes in [6 << 20, u64::MAX] {
        let mut gateway = Gateway::new(6 << 20, disk_bytes);
        let (written, more) = gateway.fill();
        assert!(written > 300 && !gateway.sync());
        assert_eq!(gateway.read_all(), written + more);
        assert!(gateway.sync(), "the disk takes messages again");
        // One segment in each look.
        let small = (0..20).any(|_| gateway.sync() && gateway.store.as_ref().unwrap().bytes() < 3 << 20);
        assert!(small, "{}", gateway.store.as_ref().unwrap().bytes());
        // What was at the beginning of the deleted segment is still there, also after a death at once.
        for _ in 0..3 {
            gateway.start();
            assert_eq!(gateway.retained(), "kept");
            assert_eq!(gateway.read_all(), 0);
            let from = gateway.connect("from", true);
            gateway.publish(from, b'q', b"1", false);
            gateway.engine.close(from, Closed::Lost, gateway.now);
            assert_eq!(gateway.read_all(), 1, "its subscription is there");
            assert!(gateway.sync() && gateway.sync());
        }
        let kept = gateway.folder.path().join("kept.records");
        assert!(!kept.exists(), "it was recorded again in the journal");
        // And once more: the reserve is back.
        let (written, more) = gateway.fill();
        assert_eq!(gateway.read_all(), written + more);
        assert!(gateway.sync());
    }
}

#[test]
fn a_death_on_a_full_disk_after_its_messages_were_read_keeps_the_rest() {
    let mut gateway = Gateway::new(6 << 20, 6 << 20);
    gateway.fill();
    gateway.read_all();
    // No byte is free: only what was set aside.
    let used: u64 = std::fs::read_dir(gateway.folder.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    gateway.disk.room.store(used, Ordering::Relaxed);
    gateway.sync();
    gateway.disk.room.store(0, Ordering::Relaxed);
    let kept = gateway.folder.path().join("kept.records");
    assert!(kept.exists());
    gateway.disk.room.store(6 << 20, Ordering::Relaxed);
    gateway.start();
    assert_eq!(gateway.retained(), "kept");
    assert_eq!(gateway.read_all(), 0, "what was read does not come again");
}

#[test]
fn while_messages_wait_nothing_is_given_up_on_a_full_disk() {
    let mut gateway = Gateway::new(6 << 20, 6 << 20);
    let (written, more) = gateway.fill();
    for _ in 0..3 {
        assert!(!gateway.sync());
    }
    assert_eq!(gateway.read_all(), written + more);
}

//! `kill -9` of the whole process: messages queued for a persistent session survive.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its child process reports on stdout"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{eventually, port, publish, settings, start, stdout, subscribe};
use broker::Tap;
use tempfile::TempDir;

const CHILD: &str = "BROKER_KILL_TEST_FOLDER";

/// This very test in a process of its own, where it only runs a broker.
fn broker_process(folder: &Path) -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::queued_messages_survive_a_kill", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.map(Result::unwrap).find_map(|line| line.split_once("port=")?.1.parse().ok()).unwrap();
    (child, port)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Messages that mqtt5 has written out; it writes to other names and renames.
fn written(folder: &Path) -> usize {
    let is_message = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|kind| kind == "json");
    std::fs::read_dir(folder).map_or(0, |entries| entries.flatten().filter(is_message).count())
}

#[tokio::test]
async fn queued_messages_survive_a_kill() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let broker = start(settings(Path::new(&folder)), Tap::default()).await.unwrap();
        println!("port={}", port(&broker, "mqtt"));
        std::future::pending::<()>().await;
    }
    let folder = TempDir::new().unwrap();
    let keeper = ["-c", "-i", "keeper", "-q", "1", "-t", "kept"];
    let (child, port) = broker_process(folder.path());
    subscribe(port, &[&keeper[..], &["-E"]].concat()).await;
    for message in ["1", "2", "3"] {
        assert!(publish(port, &["-q", "1", "-t", "kept", "-m", message]).await.status.success());
    }
    // mqtt5 writes them a quarter of a second later.
    let queue = folder.path().join("queues/keeper");
    eventually(async || written(&queue) == 3).await;
    kill(child);

    let (child, port) = broker_process(folder.path());
    let queued = subscribe(port, &[&keeper[..], &["-C", "3", "-W", "5"]].concat()).await;
    kill(child);
    assert_eq!(stdout(&queued), "1\n2\n3\n");
}

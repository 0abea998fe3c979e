//! `kill -9` of the whole process: what is acknowledged survives at once: messages for a kept session, and retained ones.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its child process reports on stdout"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{port, publish, settings, start, stdout, subscribe};
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
    publish(port, &["-q", "1", "-r", "-t", "last", "-m", "value"]).await;
    kill(child);

    let (child, port) = broker_process(folder.path());
    let queued = subscribe(port, &[&keeper[..], &["-C", "3", "-W", "5"]].concat()).await;
    let retained = subscribe(port, &["-t", "last", "-C", "1", "-W", "5"]).await;
    kill(child);
    assert_eq!(stdout(&queued), "1\n2\n3\n");
    assert_eq!(stdout(&retained), "value\n");
}

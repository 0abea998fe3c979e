//! A real mosquitto on a free port of 127.0.0.1 in its own folder; stopped and removed when dropped.
//!
//! It can be stalled (SIGSTOP) and killed (SIGKILL), because messages get lost when a slow broker dies.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

const START_WITHIN: Duration = Duration::from_secs(10);

/// A running (or paused, or killed) broker.
#[derive(Debug)]
pub struct Mosquitto {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Mosquitto {
    /// Starts with one listener, to which `lines` of mosquitto.conf(5) belong; `{dir}` in them is [`Self::folder`].
    /// Anonymous clients are allowed unless a line contains `allow_anonymous` or `password_file`.
    ///
    /// # Panics
    /// mosquitto is not installed or refuses the lines; the message has its log.
    pub async fn start(lines: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut broker = Self { folder, port: free_port(), process: None };
        broker.write_config(lines);
        broker.spawn().await;
        broker
    }

    /// The listener's port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `mqtt://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its log so far. It may be empty for a while, because mosquitto buffers.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Stalls it: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Continues it after [`Self::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills it as a power cut would: nothing is stored, no client is notified.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Fails only if it has died already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it in order, so that it stores what `persistence true` promises.
    pub fn stop(&mut self) {
        self.signal("TERM");
        if let Some(mut process) = self.process.take() {
            process.wait().expect("mosquitto can be waited for");
        }
    }

    /// Starts it again on the same port and folder, after [`Self::stop`] if it still runs.
    pub async fn restart(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
        self.spawn().await;
    }

    fn write_config(&self, lines: &[&str]) {
        let folder = self.folder().display().to_string();
        let mut config = format!("user root\nlistener {} 127.0.0.1\n", self.port);
        if !lines.iter().any(|line| line.contains("allow_anonymous") || line.contains("password_file")) {
            config.push_str("allow_anonymous true\n");
        }
        for line in lines {
            config.push_str(&line.replace("{dir}", &folder));
            config.push('\n');
        }
        fs::write(self.config_path(), config).expect("the broker's folder can be written to");
    }

    async fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the broker's log can be written to");
        let process = Command::new(program("mosquitto"))
            .arg("-c")
            .arg(self.config_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start mosquitto ({error}): apt-get install mosquitto"));
        self.process = Some(process);
        if tokio::time::timeout(START_WITHIN, self.listening()).await.is_err() {
            panic!("mosquitto did not listen on port {} within {START_WITHIN:?}:\n{}", self.port, self.log());
        }
    }

    async fn listening(&mut self) {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("mosquitto ended at once ({status}):\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, name: &str) {
        let Some(process) = &self.process else { return };
        let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{name} to mosquitto");
    }

    fn config_path(&self) -> PathBuf {
        self.folder().join("mosquitto.conf")
    }

    fn log_path(&self) -> PathBuf {
        self.folder().join("mosquitto.log")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian installs daemons outside of a user's PATH.
fn program(name: &str) -> PathBuf {
    let sbin = Path::new("/usr/sbin").join(name);
    if sbin.exists() { sbin } else { name.into() }
}

/// A free port of 127.0.0.1: for a second listener among the lines. mosquitto 2.0.11
/// cannot have a WebSocket listener alone.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("127.0.0.1 has a free port")
        .port()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reachable(broker: &Mosquitto) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port())).await.is_ok()
    }

    #[tokio::test]
    async fn comes_back_on_the_same_port_after_a_kill() {
        let mut broker = Mosquitto::start(&["persistence true", "persistence_location {dir}/"]).await;
        assert!(reachable(&broker).await);
        broker.pause();
        broker.kill();
        assert!(!reachable(&broker).await);
        broker.restart().await;
        assert!(reachable(&broker).await);
        broker.restart().await;
        assert!(broker.folder().join("mosquitto.db").exists(), "a stop in order stores the session");
    }

    #[tokio::test]
    #[should_panic(expected = "Unknown configuration variable")]
    async fn shows_the_log_where_the_lines_are_wrong() {
        Mosquitto::start(&["no_such_line 1"]).await;
    }
}

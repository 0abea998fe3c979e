//! A TCP proxy before a broker. A test decides what each connection gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use testkit::mosquitto::Mosquitto;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the next connections get, in order; after them the broker.
pub type Scripts = Arc<Mutex<Vec<Vec<u8>>>>;

pub struct Proxy {
    pub url: String,
    pub scripts: Scripts,
    /// While true, nothing is forwarded and no side notices.
    pub frozen: watch::Sender<bool>,
}

impl Proxy {
    pub async fn before(broker: &Mosquitto, scripts: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let target = SocketAddr::from(([127, 0, 0, 1], broker.port()));
        let scripts: Scripts = Arc::new(Mutex::new(scripts.into_iter().rev().collect()));
        let frozen = watch::Sender::new(false);
        tokio::spawn(keep(listener, target, Arc::clone(&scripts), frozen.subscribe()));
        Self { url, scripts, frozen }
    }

    pub fn left(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }
}

async fn keep(listener: TcpListener, target: SocketAddr, scripts: Scripts, frozen: watch::Receiver<bool>) {
    while let Ok((client, _)) = listener.accept().await {
        let script = scripts.lock().unwrap().pop();
        match script {
            Some(script) => drop(tokio::spawn(play(client, script))),
            None => drop(tokio::spawn(pass(client, target, frozen.clone()))),
        }
    }
}

/// Answers the CONNECT with these bytes, half-closes, and reads until the client closes.
async fn play(mut client: TcpStream, script: Vec<u8>) {
    let mut buffer = [0; 4096];
    if client.read(&mut buffer).await.is_ok_and(|read| read > 0) && client.write_all(&script).await.is_ok() {
        let _ = client.shutdown().await;
        while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    }
}

/// Forwards until it is frozen. After that the connection stays open and is dead.
async fn pass(mut client: TcpStream, target: SocketAddr, mut frozen: watch::Receiver<bool>) {
    let mut broker = TcpStream::connect(target).await.unwrap();
    let freezing = async {
        let _ = frozen.wait_for(|frozen| *frozen).await;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut broker) => return,
        () = freezing => {}
    }
    let _ = frozen.wait_for(|frozen| !*frozen).await;
}

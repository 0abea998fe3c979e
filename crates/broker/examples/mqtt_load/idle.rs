//! `idle clients=N`: so many clients connect and do nothing; `ready` is printed. After a line on the standard input it is
//! counted how many are still connected, and all are closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, Login};
use crate::{Options, Outcome, say};

/// Connecting at a time.
const AT_A_TIME: usize = 64;

pub(crate) async fn run(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let count: usize = options.get("clients")?;
    let mut connecting = JoinSet::new();
    let (mut clients, mut failed) = (Vec::with_capacity(count), 0);
    let mut why = String::new();
    for number in 0..count + AT_A_TIME {
        if number < count {
            connecting.spawn(async move {
                let id = format!("idle-{number:05}");
                Client::connect(broker, &Login { id: &id, ..Login::default() }).await
            });
        }
        if number >= AT_A_TIME {
            match connecting.join_next().await {
                Some(Ok(Ok(client))) => clients.push(client),
                Some(Ok(Err(error))) => (failed, why) = (failed + 1, error.to_string()),
                _ => {}
            }
        }
    }
    say(&format!("ready {failed} failed {why}"));
    std::io::stdin().read_line(&mut String::new())?;
    // The runtime has not looked at the sockets for a while.
    sleep(Duration::from_millis(200)).await;
    let connected = clients.iter().filter(|client| client.is_quiet()).count();
    drop(clients);
    say(&format!("{{\"connected\": {connected}}}"));
    Ok(())
}

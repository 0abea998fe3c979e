//! `flood clients=N seconds=S source=ADDRESS`: so many clients at once try a wrong password each, from that address, and
//! again as soon as they were refused. Half of them say `known`, the others `new-000` to `new-099`.
//!
//! `login user=NAME password=TEXT seconds=S every=S`: somebody with the right password connects so often, and is not
//! waited for; `{}` in the name is the number of the attempt, three digits. Tells how long a login took.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

use crate::client::{Client, Login};
use crate::{Options, Outcome, microseconds, percentiles, say};

/// Longer than any client waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts of one client.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Tried {
    refused: u64,
    failed: u64,
    admitted: u64,
}

pub(crate) async fn flood(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let (clients, source): (u32, IpAddr) = (options.get("clients")?, options.get("source")?);
    let until = Instant::now() + options.seconds("seconds")?;
    let mut trying = JoinSet::new();
    for number in 0..clients {
        trying.spawn(async move {
            let mut tried = Tried::default();
            // Whoever waits at the end was not refused in time.
            let _ = timeout_at(until, try_wrong_passwords(broker, source, number, &mut tried)).await;
            tried
        });
    }
    let mut all = Tried::default();
    while let Some(tried) = trying.join_next().await {
        let tried = tried?;
        all.refused += tried.refused;
        all.failed += tried.failed;
        all.admitted += tried.admitted;
    }
    let Tried { refused, failed, admitted } = all;
    say(&format!("{{\"refused\": {refused}, \"failed\": {failed}, \"admitted\": {admitted}}}"));
    Ok(())
}

async fn try_wrong_passwords(broker: SocketAddr, source: IpAddr, number: u32, tried: &mut Tried) {
    let id = format!("flood-{number}");
    let user = if number.is_multiple_of(2) { "known".to_owned() } else { format!("new-{:03}", number % 100) };
    for attempt in 0_u64.. {
        let wrong = format!("wrong-{number}-{attempt}");
        let login = Login { id: &id, user: Some((&user, &wrong)), source: Some(source), ..Login::default() };
        match Client::connect(broker, &login).await {
            Ok(_) => tried.admitted += 1,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => tried.refused += 1,
            Err(_) => tried.failed += 1,
        }
        sleep(PAUSE).await;
    }
}

pub(crate) async fn login(broker: SocketAddr, options: &Options<'_>) -> Outcome {
    let (name, password) = (options.text("user")?, options.text("password")?);
    let until = Instant::now() + options.seconds("seconds")?;
    let mut next = interval(options.seconds("every")?);
    let mut running = JoinSet::new();
    for number in 0_u32.. {
        let due = next.tick().await;
        if due >= until {
            break;
        }
        let (user, password) = (name.replace("{}", &format!("{number:03}")), password.clone());
        running.spawn(async move {
            let id = format!("right-{user}-{number}");
            let login = Login { id: &id, user: Some((&user, &password)), ..Login::default() };
            let client = timeout(PATIENCE, Client::connect(broker, &login)).await??;
            let took = due.elapsed();
            client.disconnect().await?;
            io::Result::Ok(took)
        });
    }
    let (mut took, mut failed) = (Vec::new(), 0);
    while let Some(login) = running.join_next().await {
        match login? {
            Ok(login) => took.push(microseconds(login)),
            Err(_) => failed += 1,
        }
    }
    let count = took.len();
    say(&format!("{{\"logins\": {count}, \"failed\": {failed}, \"us\": {}}}", percentiles(&mut took)));
    Ok(())
}

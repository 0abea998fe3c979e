//! Measures an MQTT broker, ours or another, from outside; `scripts/bench-broker` drives it.
//!
//!     mqtt_load MODE ADDRESS:PORT NAME=VALUE…
//!
//! Each mode has a module, which says what it does and which values it needs. What was measured is a line of JSON.

mod client;
mod durable;
mod exchange;
mod idle;
mod logins;
mod ping;
mod retained;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, broker, values @ ..] = &arguments[..] else {
        return Err("usage: mqtt_load MODE ADDRESS:PORT NAME=VALUE…".into());
    };
    let broker: SocketAddr = broker.parse()?;
    let values = values.iter().filter_map(|value| value.split_once('=')).collect();
    let options = Options(values);
    match mode.as_str() {
        "idle" => idle::run(broker, &options).await,
        "exchange" => exchange::run(broker, &options).await,
        "retain" => retained::publish(broker, &options).await,
        "retained" => retained::read(broker, &options).await,
        "flood" => logins::flood(broker, &options).await,
        "login" => logins::login(broker, &options).await,
        "ping" => ping::ping(broker, &options).await,
        "pour" => ping::pour(broker, &options).await,
        "durable" => durable::run(broker, &options).await,
        other => Err(format!("no mode {other}").into()),
    }
}

/// The values, all of which a mode needs.
struct Options<'a>(HashMap<&'a str, &'a str>);

impl Options<'_> {
    fn text(&self, name: &str) -> Result<String, Box<dyn Error>> {
        Ok((*self.0.get(name).ok_or_else(|| format!("{name}= is missing"))?).to_owned())
    }

    fn get<T: FromStr>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("{name}={text} is no value for it").into())
    }

    fn seconds(&self, name: &str) -> Result<Duration, Box<dyn Error>> {
        Ok(Duration::from_secs_f64(self.get(name)?))
    }
}

#[expect(clippy::print_stdout, reason = "it is read by a script")]
fn say(line: &str) {
    println!("{line}");
}

/// The median, the 99th percentile and the most, as JSON; `null` for each where there is nothing.
fn percentiles(values: &mut [u32]) -> String {
    values.sort_unstable();
    let at = |hundredths: usize| {
        values
            .get((values.len() * hundredths / 100).min(values.len().saturating_sub(1)))
            .map_or("null".to_owned(), u32::to_string)
    };
    format!("[{}, {}, {}]", at(50), at(99), at(100))
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

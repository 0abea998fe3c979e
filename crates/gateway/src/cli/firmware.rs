//! `riser firmware`: the nodes of our own firmware that a running gateway knows, and which version each runs.

use super::request::request_blocking;
use super::{ConfigArg, Exit, Failure, print_line, tail};
use pipeline::firmware::Row;
use pipeline::observe::live_socket::Question;

pub(crate) fn firmware(config: &ConfigArg, json: bool) -> Result<Exit, Failure> {
    let data_dir = super::run::load(config, true)?.config.gateway.data_dir;
    let rows: Vec<Row> = request_blocking(&data_dir, &Question::Firmware)?;
    if json {
        for row in &rows {
            print_line(&serde_json::to_string(row).unwrap_or_default())?;
        }
    } else if rows.is_empty() {
        print_line("no node has said its version yet; docs/firmware.md shows how to build one")?;
    } else {
        print_line(&line(["DEVICE", "IMAGE", "VERSION", "LOST", "LAST HEARD"]))?;
        for row in &rows {
            print_line(&line([
                &row.device,
                &row.image,
                &row.version,
                &row.lost.to_string(),
                &row.last_heard,
            ]))?;
        }
    }
    Ok(Exit::Fine)
}

fn line([device, image, version, lost, heard]: [&str; 5]) -> String {
    tail::printable(format!("{device:<24}  {image:<16}  {version:<12}  {lost:>6}  {heard}"))
}

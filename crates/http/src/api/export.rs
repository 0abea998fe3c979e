//! The history as a file, written while it is read.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use gateway_core::{Timestamp, chain};
use history::{ExportError, Format, Store};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::series::{DAY, span};
use crate::extract::{Params, Viewer};
use crate::guard::Peer;
use crate::problem::Problem;
use crate::shares::Shares;
use crate::times::Time;

/// Bytes in a piece, and pieces that wait for the receiver.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;
/// A receiver that takes nothing for so long is cut off: others wait for its place.
const STALLED: Duration = Duration::from_secs(10);
/// Exports at once, and of one address.
const MOST: usize = 2;
const MOST_OF_ONE: usize = 1;

/// Places for exports.
pub(crate) fn shares() -> Shares {
    Shares::new(MOST, MOST_OF_ONE)
}

/// Which part of the history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// A name; without it, all devices.
    device: Option<String>,
    /// RFC 3339, or milliseconds since 1970. Default: a day before `to`.
    from: Option<Time>,
    /// Default: now.
    to: Option<Time>,
    /// Default: CSV.
    format: Option<ExportFormat>,
}

/// How a file is written.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExportFormat {
    Csv,
    Parquet,
}

/// The history as a file: `device,metric,start,end,avg,min,max,std,count`.
#[utoipa::path(get, path = "/api/v1/export", params(Query), responses(
    (status = 200, content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn export(
    State(app): Shared,
    _: Viewer,
    peer: Peer,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let (from, to) = span(query.from, query.to, DAY);
    let (format, kind, file) = match query.format.unwrap_or(ExportFormat::Csv) {
        ExportFormat::Csv => (Format::Csv, "text/csv", "attachment; filename=\"riser.csv\""),
        ExportFormat::Parquet => {
            (Format::Parquet, "application/vnd.apache.parquet", "attachment; filename=\"riser.parquet\"")
        }
    };
    let path = app.history.path().ok_or_else(|| Problem::not_found("there is no [history]"))?.to_owned();
    let share = app.exports.take(peer.address, 1, &peer.cut).ok_or_else(|| {
        Problem::unavailable("other exports are under way; try again when one is done").retry_after(10)
    })?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let wanted = query.device;
    let pieces = Pieces::new(sender.clone(), Handle::current());
    tokio::task::spawn_blocking(move || {
        let _share = share;
        if let Err(error) = write(&path, wanted, (from, to), format, pieces) {
            tracing::warn!("an export ended early: {}", chain(&error));
            // The receiver must not take a part for the whole. One that takes nothing cannot be told otherwise.
            if sender.try_send(Err(io::Error::other("the export ended early"))).is_err() {
                peer.cut.cancel();
            }
        }
    });
    let pieces = unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let mut response = Body::from_stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
    Ok(response)
}

fn write(
    path: &std::path::Path,
    device: Option<String>,
    (from, to): (Timestamp, Timestamp),
    format: Format,
    mut pieces: Pieces,
) -> Result<(), ExportError> {
    let store = Store::open_read_only(path)?;
    let devices = match device {
        Some(device) => vec![device.into()],
        None => store.devices()?,
    };
    store.export(&devices, (from, to), format, &mut pieces)?;
    Ok(pieces.flush()?)
}

/// Sends what is written in pieces; waits while the receiver has enough, but not for ever.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
    stalled: Duration,
    piece: Vec<u8>,
    /// Nothing more is sent: writers flush once more when they are dropped.
    ended: bool,
}

impl Pieces {
    fn new(sender: mpsc::Sender<io::Result<Bytes>>, runtime: Handle) -> Self {
        Self { sender, runtime, stalled: STALLED, piece: Vec::with_capacity(PIECE), ended: false }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sending = async { tokio::time::timeout(self.stalled, self.sender.send(Ok(piece.into()))).await };
        let sent = self.runtime.block_on(sending);
        self.ended = !matches!(sent, Ok(Ok(())));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the receiver has gone away")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver has taken nothing for long")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receiver_that_takes_nothing_ends_the_export() {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let mut pieces =
            Pieces { stalled: Duration::from_millis(50), ..Pieces::new(sender, Handle::current()) };
        let writing = tokio::task::spawn_blocking(move || {
            loop {
                pieces.write_all(&[0; PIECE]).map_err(|error| error.kind())?;
            }
        });
        let ended: Result<(), io::ErrorKind> = writing.await.unwrap();
        assert_eq!(ended, Err(io::ErrorKind::TimedOut));
        let mut taken = 0;
        while receiver.recv().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, WAITING, "what was sent is there");
    }
}

//! The history as a file, written while it is read.

use std::io::{self, Write};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use gateway_core::{Timestamp, chain};
use history::{ExportError, Format, Store};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::series::{DAY, span};
use crate::extract::{Params, Viewer};
use crate::problem::Problem;
use crate::times::Time;

/// Bytes in a piece, and pieces that wait for the receiver.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;

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
    let turn = app.history.long_turn().ok_or_else(|| {
        Problem::unavailable("another export is under way; try again when it is done").retry_after(10)
    })?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let wanted = query.device;
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let done = write(&path, wanted, (from, to), format, Pieces::new(sender.clone()));
        if let Err(error) = done {
            tracing::warn!("an export ended early: {}", chain(&error));
            // The receiver must not take a part for the whole.
            let _ = sender.blocking_send(Err(io::Error::other("the export ended early")));
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

/// Sends what is written in pieces; waits while the receiver has enough.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pieces {
    fn new(sender: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { sender, piece: Vec::with_capacity(PIECE) }
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
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver has gone away");
        self.sender.blocking_send(Ok(piece.into())).map_err(gone)
    }
}

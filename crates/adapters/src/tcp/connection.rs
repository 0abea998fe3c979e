//! One connection: reads lines until its end, and passes them to the pipeline.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::Clock;
use gateway_core::{AdapterId, Uplink};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::peers::Admitted;
use crate::lines::{LineReader, SubmitResult, submit};

/// Bytes read at once.
const CHUNK: usize = 4 << 10;

/// What all connections of an adapter share.
pub(super) struct Context {
    pub(super) id: AdapterId,
    pub(super) uplinks: mpsc::Sender<Vec<Uplink>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    /// The longest time without a line.
    pub(super) idle: Duration,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has closed its sending side.
    Closed,
    /// The connection broke.
    Broken,
    /// No line arrived for too long.
    Idle,
    /// The connection was closed in favour of another address.
    GaveWay,
    Stopped,
    PipelineEnded,
}

/// Reads until the end, and returns the reason.
pub(super) async fn serve(
    context: &Context,
    mut stream: TcpStream,
    mut reader: LineReader,
    admitted: &Admitted,
) -> End {
    let end = read(context, &mut stream, &mut reader, admitted).await;
    let rest = reader.end(context.clock.now());
    match submit(&context.id, &context.uplinks, rest, &context.stop).await {
        SubmitResult::PipelineEnded => End::PipelineEnded,
        SubmitResult::Done | SubmitResult::Stopped => end,
    }
}

async fn read(
    context: &Context,
    stream: &mut TcpStream,
    reader: &mut LineReader,
    Admitted { pace, close, .. }: &Admitted,
) -> End {
    let mut chunk = vec![0; CHUNK];
    let mut idle_at = Instant::now() + context.idle;
    loop {
        let count = tokio::select! {
            biased;
            () = context.stop.cancelled() => return End::Stopped,
            () = close.cancelled() => return End::GaveWay,
            read = stream.read(&mut chunk) => match read {
                Ok(0) => return End::Closed,
                Ok(count) => count,
                Err(_) => return End::Broken,
            },
            () = sleep_until(idle_at) => return End::Idle,
        };
        let ended_before = reader.ended();
        match take(context, chunk.get(..count).unwrap_or_default(), reader).await {
            SubmitResult::Done => {}
            SubmitResult::Stopped => return End::Stopped,
            SubmitResult::PipelineEnded => return End::PipelineEnded,
        }
        let lines = reader.ended().saturating_sub(ended_before);
        rest(context, pace, close, lines).await;
        // Only complete lines keep a connection open.
        if lines > 0 {
            idle_at = Instant::now() + context.idle;
        }
    }
}

/// Passes the lines in `bytes` to the pipeline; while its queue is full, this and the peer wait.
async fn take(context: &Context, mut bytes: &[u8], reader: &mut LineReader) -> SubmitResult {
    let at = context.clock.now();
    while !bytes.is_empty() {
        let batch = reader.batch(&mut bytes, at);
        match submit(&context.id, &context.uplinks, batch, &context.stop).await {
            SubmitResult::Done => {}
            no => return no,
        }
    }
    SubmitResult::Done
}

/// Slows down an address that sends too fast. A piece of a long line counts as a line.
async fn rest(context: &Context, pace: &Pace, close: &CancellationToken, lines: u64) {
    let rest = pace.rest(lines.max(1), Instant::now());
    if !rest.is_zero() {
        tokio::select! {
            () = sleep(rest) => {}
            () = close.cancelled() => {}
            () = context.stop.cancelled() => {}
        }
    }
}

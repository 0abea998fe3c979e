//! One connection: reads lines until its end, and hands them over.

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
use crate::lines::{HandedOver, LineReader, hand_over};

/// Bytes read in one go.
const CHUNK: usize = 4 << 10;

/// What all connections of an adapter share.
pub(super) struct Context {
    pub(super) id: AdapterId,
    pub(super) uplinks: mpsc::Sender<Vec<Uplink>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    /// How long without a line.
    pub(super) idle: Duration,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has sent all that it will; whether it still reads is no matter here.
    Closed,
    /// It broke off.
    Broken,
    /// No line came for too long.
    Idle,
    /// Another address needed the room.
    GaveWay,
    Stopped,
    PipelineEnded,
}

/// Reads until the end, which is told.
pub(super) async fn serve(
    context: &Context,
    mut stream: TcpStream,
    mut reader: LineReader,
    admitted: &Admitted,
) -> End {
    let end = read(context, &mut stream, &mut reader, admitted).await;
    let rest = reader.end(context.clock.now());
    match hand_over(&context.id, &context.uplinks, rest, &context.stop).await {
        HandedOver::PipelineEnded => End::PipelineEnded,
        HandedOver::Yes | HandedOver::Stopped => end,
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
            HandedOver::Yes => {}
            HandedOver::Stopped => return End::Stopped,
            HandedOver::PipelineEnded => return End::PipelineEnded,
        }
        let lines = reader.ended().saturating_sub(ended_before);
        rest(context, pace, close, lines).await;
        // Bytes that never end a line keep no connection open.
        if lines > 0 {
            idle_at = Instant::now() + context.idle;
        }
    }
}

/// Hands the lines in `bytes` over; waits while the pipeline is behind, and so does the peer.
async fn take(context: &Context, mut bytes: &[u8], reader: &mut LineReader) -> HandedOver {
    let at = context.clock.now();
    while !bytes.is_empty() {
        let batch = reader.batch(&mut bytes, at);
        match hand_over(&context.id, &context.uplinks, batch, &context.stop).await {
            HandedOver::Yes => {}
            no => return no,
        }
    }
    HandedOver::Yes
}

/// Holds an address back that sends too fast. A piece of a long line counts as one.
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

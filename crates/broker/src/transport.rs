//! The four ways in: TCP, TLS, WebSocket and WebSocket over TLS, besides a Unix socket. Each gives a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::inbox::SMALL;
use crate::receive_memory::{Part, ReceiveShare};

/// MQTT in binary messages of a WebSocket; packets and messages need not begin together ([MQTT-6.0.0-2]).
#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    stream: WebSocketStream<Metered<S>>,
    /// What is left of the last message.
    received: Bytes,
    /// The memory of the last message is not given back yet.
    has_message: bool,
}

/// Counts the bytes of a message that is coming, which the library gathers out of sight: a large one needs memory of
/// [`ReceiveShare`].
#[derive(Debug)]
struct Metered<S> {
    stream: S,
    bytes: usize,
    reserved: usize,
    share: Arc<ReceiveShare>,
}

/// Bytes of a control frame of a client, besides its payload (RFC 6455, section 5.2).
const CONTROL_HEAD: usize = 6;
/// Bytes that are reserved at once.
const RESERVED: usize = 64 << 10;

impl<S> Metered<S> {
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        if self.bytes <= SMALL || self.bytes <= self.reserved {
            return Ok(());
        }
        self.reserved = self.bytes.next_multiple_of(RESERVED);
        if self.share.reserve(Part::Message, self.reserved) {
            return Ok(());
        }
        self.share.cut();
        Err(io::Error::other("too many large WebSocket messages come at once"))
    }

    /// What came besides the message.
    fn leave_out(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn message_is_done(&mut self) {
        self.bytes = 0;
        if std::mem::take(&mut self.reserved) > 0 {
            self.share.release(Part::Message);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.count(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts a WebSocket on any path; of the protocols that the client offers, one of MQTT is chosen.
pub(crate) async fn accept_websocket<S>(
    stream: S,
    max_packet_size: usize,
    share: Arc<ReceiveShare>,
) -> io::Result<WebSocket<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_packet_size.max(1 << 16)))
        .max_frame_size(Some(max_packet_size.max(1 << 16)))
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(max_packet_size.max(1 << 20) * 2);
    let stream = Metered { stream, bytes: 0, reserved: 0, share };
    let mut stream = tokio_tungstenite::accept_hdr_async_with_config(stream, choose_protocol, Some(config))
        .await
        .map_err(io_error)?;
    stream.get_mut().message_is_done();
    Ok(WebSocket { stream, received: Bytes::new(), has_message: false })
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
#[expect(clippy::unnecessary_wraps, reason = "the library's signature")]
fn choose_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    let offered = request.headers().get_all(NAME).into_iter().filter_map(|value| value.to_str().ok());
    let mut names = offered.flat_map(|list| list.split(',').map(str::trim));
    let known = names.find(|name| matches!(*name, "mqtt" | "mqttv3.1"));
    if let Some(value) = known.and_then(|name| HeaderValue::from_str(name).ok()) {
        response.headers_mut().insert(NAME, value);
    }
    Ok(response)
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::ConnectionAborted.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.received.has_remaining() {
            if std::mem::take(&mut this.has_message) {
                this.stream.get_mut().message_is_done();
            }
            match ready!(Pin::new(&mut this.stream).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => (this.received, this.has_message) = (bytes, true),
                // [MQTT-6.0.0-1]
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                // Pongs are queued by the library; flushing sends them.
                Some(Ok(control)) => {
                    this.stream.get_mut().leave_out(CONTROL_HEAD + control.len());
                    let _ = Pin::new(&mut this.stream).poll_flush(cx).map_err(io_error)?;
                }
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let length = this.received.remaining().min(buffer.remaining());
        buffer.put_slice(&this.received.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = &mut self.get_mut().stream;
        ready!(Pin::new(&mut *stream).poll_ready(cx)).map_err(io_error)?;
        Pin::new(stream).start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(io_error)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx).map_err(io_error)
    }
}

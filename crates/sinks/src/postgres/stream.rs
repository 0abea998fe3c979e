//! The byte stream to a server, with a bound for what it sends: the client library keeps a message of any length that is announced.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;

/// What a server may send for one statement, or for a login.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How long sent bytes may stay without an answer of the server's machine, and a connection idle before that is asked.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// The hosts of a configuration with their ports, in order. The first is the name that a certificate must have.
pub(super) fn hosts(config: &tokio_postgres::Config) -> Vec<(Host, Host, u16)> {
    let ports = config.get_ports();
    let host = |(index, host): (usize, &Host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let address = config.get_hostaddrs().get(index).map(|address| Host::Tcp(address.to_string()));
        (host.clone(), address.unwrap_or_else(|| host.clone()), port)
    };
    config.get_hosts().iter().enumerate().map(host).collect()
}

/// What a server may still send.
#[derive(Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// A statement is sent: its answer has a bound of its own.
    pub(super) fn renew(&self) {
        self.0.store(MAX_ANSWER_BYTES, Ordering::Relaxed);
    }

    /// Returns whether the server might send so much.
    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl Socket for TcpStream {}
impl Socket for UnixStream {}

/// A connection, before TLS.
pub(super) struct Stream {
    socket: Box<dyn Socket>,
    allowance: Allowance,
}

impl Stream {
    pub(super) async fn connect(host: &Host, port: u16) -> io::Result<Stream> {
        let socket: Box<dyn Socket> = match host {
            Host::Tcp(name) => {
                let stream = TcpStream::connect((name.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                let socket = SockRef::from(&stream);
                socket.set_tcp_user_timeout(Some(DEAD_AFTER))?;
                socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(DEAD_AFTER))?;
                Box::new(stream)
            }
            Host::Unix(folder) => {
                Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?)
            }
        };
        Ok(Stream { socket, allowance: Allowance(Arc::new(AtomicUsize::new(MAX_ANSWER_BYTES))) })
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if self.allowance.take(buffer.filled().len() - before) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(io::Error::other("its answer is longer than 16 MiB; is it a PostgreSQL?")))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

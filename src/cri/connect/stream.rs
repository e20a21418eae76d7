//! Streams that never raise SIGPIPE in the host, and connecting to a unix socket whose backlog may be full.

use crate::panic_points;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// How long to wait before a full backlog is tried again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);

/// A stream whose writes are `sendmsg` with MSG_NOSIGNAL. The type of tokio only sends, receives and shuts down, so a stream socket of any
/// other family works in it as well.
pub(super) struct QuietStream(pub(super) UnixStream);

impl QuietStream {
    fn send(&self, cx: &mut Context<'_>, data: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        panic_points::point_beside("write to the socket");
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            let sent = self.0.try_io(Interest::WRITABLE, || {
                let mut nothing = SendAncillaryBuffer::default();
                rustix::net::sendmsg(&self.0, data, &mut nothing, SendFlags::NOSIGNAL)
                    .map_err(io::Error::from)
            });
            match sent {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The reader finds out why the other side closed, if that was sent.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                    return Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()));
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for QuietStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        panic_points::point_beside("read from the socket");
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for QuietStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.send(cx, &data[..data.len().min(64)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Connects, and tries again while the backlog is full: a unix socket then answers EAGAIN at once.
pub(super) async fn by_path(path: &str) -> io::Result<QuietStream> {
    panic_points::point("connect");
    loop {
        match UnixStream::connect(path).await {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            done => return done.map(QuietStream),
        }
    }
}

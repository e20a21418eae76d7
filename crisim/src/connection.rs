//! A client's connection, which a fault can cut.

use crate::authority::Rewriter;
use rustix::net::Shutdown;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// A connection, and a second handle on its socket, so that a fault can cut it.
pub(crate) struct Connection {
    stream: UnixStream,
    rewriter: Rewriter,
    socket: Socket,
}

/// The handle for calls.
#[derive(Clone)]
pub(crate) struct Socket {
    descriptor: Arc<OwnedFd>,
    /// How many bytes are still sent before the connection is cut.
    left: Arc<AtomicUsize>,
}

impl Socket {
    /// Only this number of bytes is sent from now on.
    pub(crate) fn send_only(&self, bytes: usize) {
        self.left.store(bytes, Ordering::SeqCst);
    }
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Connection> {
        let stream = stream.into_std()?;
        let socket = Socket {
            descriptor: Arc::new(OwnedFd::from(stream.try_clone()?)),
            left: Arc::new(AtomicUsize::new(usize::MAX)),
        };
        Ok(Connection {
            stream: UnixStream::from_std(stream)?,
            rewriter: Rewriter::new(),
            socket,
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = Socket;

    fn connect_info(&self) -> Socket {
        self.socket.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Connection {
            stream, rewriter, ..
        } = &mut *self;
        rewriter.poll_read(stream, cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = self.socket.left.load(Ordering::SeqCst);
        if left == usize::MAX {
            return Pin::new(&mut self.stream).poll_write(cx, data);
        }
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let some = &data[..data.len().min(left)];
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        self.socket.send_only(left - written);
        if left == written {
            // As below.
            let _ = rustix::net::shutdown(&*self.socket.descriptor, Shutdown::Write);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Sends last bytes and ends the connection, and the call with it.
pub(crate) async fn cut<A>(socket: Option<Socket>, last: &[u8]) -> A {
    if let Some(Socket {
        descriptor: socket, ..
    }) = &socket
    {
        // The client may have closed it already; then there is nothing to cut.
        let _ = rustix::net::send(&**socket, last, rustix::net::SendFlags::NOSIGNAL);
    }
    shut(socket, Shutdown::Both).await
}

/// Ends the connection after the client has read what was sent before: a client that cannot write any more does not read either.
pub(crate) async fn cut_behind<A>(socket: Option<Socket>) -> A {
    shut(socket, Shutdown::Write).await
}

async fn shut<A>(socket: Option<Socket>, how: Shutdown) -> A {
    if let Some(socket) = socket {
        // As above.
        let _ = rustix::net::shutdown(&*socket.descriptor, how);
    }
    std::future::pending().await
}

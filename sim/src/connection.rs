//! A client's connection, which a fault can cut.

use crate::authority::Rewriter;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// A connection, and a second handle on its socket, so that a fault can cut it.
pub(crate) struct Connection {
    stream: UnixStream,
    rewriter: Rewriter,
    socket: Arc<OwnedFd>,
}

/// The handle that calls see.
#[derive(Clone)]
pub(crate) struct Socket(Arc<OwnedFd>);

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Connection> {
        let stream = stream.into_std()?;
        let socket = Arc::new(OwnedFd::from(stream.try_clone()?));
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
        Socket(self.socket.clone())
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
        Pin::new(&mut self.stream).poll_write(cx, data)
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
    if let Some(Socket(socket)) = socket {
        // The other end may have gone already; then there is nothing to cut.
        let _ = rustix::net::send(&*socket, last, rustix::net::SendFlags::NOSIGNAL);
        let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
    }
    std::future::pending().await
}

//! Connections to a unix socket that never raise SIGPIPE in the host, and that wait out a full backlog.

use crate::error::{Error, Status};
use crate::host::clock::Boot;
use crate::pass::cancel::{Stop, sleep_until};
use crate::report::visible;
use hyper_util::rt::TokioIo;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileTypeExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// A stream in flight is given this much before the reader has to ask for more: a list of 16 MiB in few round trips.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// How long to wait before a full backlog is tried again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);

/// A unix stream whose writes are `sendmsg` with MSG_NOSIGNAL.
struct QuietStream(UnixStream);

impl QuietStream {
    fn send(&self, cx: &mut Context<'_>, data: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
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

/// Connects, and tries again while the backlog is full (a unix socket answers EAGAIN at once then).
async fn open(path: &str) -> io::Result<QuietStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            done => return done.map(QuietStream),
        }
    }
}

/// Where a service is, and the key that says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// `unix://PATH` or PATH, as configured.
    pub(crate) endpoint: &'a str,
    pub(crate) key: &'static str,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&visible(self.endpoint))
    }
}

impl Place<'_> {
    fn path(&self) -> &str {
        self.endpoint
            .strip_prefix("unix://")
            .unwrap_or(self.endpoint)
    }
}

/// A channel to the runtime at an endpoint, whose first connection stands.
pub(crate) async fn connect(
    place: Place<'_>,
    limit: Duration,
    stop: &Stop<'_>,
) -> Result<Channel, Error> {
    let path = place.path().to_owned();
    let first = tokio::select! {
        stream = open(&path) => stream.map_err(|e| refused(place, &e))?,
        () = sleep_until(Boot::now().plus(limit)) => return Err(Error::new(
            Status::Timeout,
            format!("cannot connect to {place}: its backlog stayed full for {limit:?}; see whether the runtime hangs"),
        )),
        cause = stop.wait() => return Err(cause.error()),
    };
    let first = Arc::new(Mutex::new(Some(first)));
    let connector = tower::service_fn(move |_: Uri| {
        let (first, path) = (first.clone(), path.clone());
        async move {
            let ready = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            match ready {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => open(&path).await.map(TokioIo::new),
            }
        }
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await
        .map_err(|e| super::error::not_cri(place, &e))
}

/// The story of a connection that did not come about.
fn refused(place: Place<'_>, e: &io::Error) -> Error {
    let key = place.key;
    let is_socket = std::fs::metadata(place.path()).map(|found| found.file_type().is_socket());
    let (cause, way_out) = match e.kind() {
        io::ErrorKind::PermissionDenied => (
            e.to_string(),
            "run as a user that may open the socket".to_owned(),
        ),
        io::ErrorKind::ConnectionRefused if matches!(is_socket, Ok(false)) => (
            "it is no socket".to_owned(),
            format!("set {key} to the runtime's socket"),
        ),
        io::ErrorKind::ConnectionRefused => (
            format!("nobody listens on it: {e}"),
            format!("start the runtime, or set {key} to its socket"),
        ),
        io::ErrorKind::NotFound => (
            e.to_string(),
            format!("start the runtime, or set {key} to its socket"),
        ),
        _ => (e.to_string(), format!("set {key} to the runtime's socket")),
    };
    Error::new(
        Status::Unavailable,
        format!("cannot connect to {place}: {cause}; {way_out}"),
    )
}

//! Connections to a unix socket that never raise SIGPIPE in the host, and that wait out a full backlog.

use super::error::{CallError, not_cri, root_cause};
use crate::clock::BootInstant;
use crate::config::Endpoint;
use crate::error::{self, Error};
use crate::panic_points;
use crate::panics;
use crate::stop::{Stop, sleep_until};
use h2::Reason;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use std::error::Error as _;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileTypeExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// A stream in flight is given this much before the reader has to ask for more: a list of 16 MiB in few round trips.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The most bytes of headers and trailers of an answer: an error's message is one. grpc-go, by which the kubelet asks, takes as many.
const HEADER_LIMIT: u32 = 16 << 20;
/// What HTTP/2 wants to know of a host that is a socket.
pub(super) const ORIGIN: &str = "http://localhost";
/// How long to wait before a full backlog is tried again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);

/// A unix stream whose writes are `sendmsg` with MSG_NOSIGNAL.
struct QuietStream(UnixStream);

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
                // Who has closed may have said why: that, or the end, is to be read.
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

/// Connects, and tries again while the backlog is full (a unix socket answers EAGAIN at once then).
async fn open(path: &str) -> io::Result<QuietStream> {
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

/// Where a service is, and the key that says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) key: &'static str,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl Place<'_> {
    fn path(&self) -> &str {
        self.endpoint.path()
    }
}

/// Sends on one connection, as soon as it is asked to: no task stands between a call and the socket. Where the connection has
/// broken, the next call makes another one. Clones share it.
#[derive(Clone)]
pub(crate) struct Wire {
    path: Arc<str>,
    connection: Arc<Mutex<Connection>>,
    defect: Defect,
}

/// One connection.
#[derive(Clone)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// How it ended, where that was an error.
    end: Arc<OnceLock<CallError>>,
}

impl Connection {
    /// Why a call failed. One that was not sent any more is only told that the connection is closed: what closed it is the cause.
    fn failed(&self, e: &hyper::Error) -> CallError {
        let is_closed = e.is_canceled() || e.is_closed();
        let end = self.end.get().filter(|_| is_closed).cloned();
        end.unwrap_or_else(|| failed(e))
    }
}

/// What broke a connection, if that was a defect of crigc.
type Defect = Arc<OnceLock<Error>>;

/// Runs the tasks of a connection beside its calls.
#[derive(Clone)]
struct Tasks(Defect);

impl<F: Future + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let defect = self.0.clone();
        drop(tokio::spawn(async move {
            if let Err(e) = panics::caught_async(task).await {
                // The first one is enough.
                let _ = defect.set(e);
            }
        }));
    }
}

/// HTTP/2 on a stream; the task that drives it ends with the last sender.
async fn handshake(stream: QuietStream, defect: &Defect) -> Result<Connection, hyper::Error> {
    panic_points::point("shake hands");
    let tasks = Tasks(defect.clone());
    let (sender, connection) = http2::Builder::new(tasks.clone())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIMIT)
        .handshake(TokioIo::new(stream))
        .await?;
    let end = Arc::new(OnceLock::new());
    let ended = end.clone();
    // How it ends is what its calls are told; so it needs nobody who waits for it.
    tasks.execute(async move {
        if let Err(e) = connection.await {
            // Set by nobody else.
            let _ = ended.set(failed(&e));
        }
    });
    Ok(Connection { sender, end })
}

impl Wire {
    /// A defect by which a connection broke: its calls were told no more than that.
    pub(super) fn defect(&self) -> Option<Error> {
        self.defect.get().cloned()
    }

    /// Sends a request; the head of its answer, and the body to come.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, CallError> {
        let mut connection = self.connection().await?;
        let answer = connection.sender.send_request(request).await;
        answer.map_err(|e| connection.failed(&e))
    }

    async fn connection(&self) -> Result<Connection, CallError> {
        let current = self.lock().clone();
        if !current.sender.is_closed() {
            return Ok(current);
        }
        let stream = open(&self.path).await;
        let stream = stream.map_err(|e| CallError::Unreachable(e.to_string()))?;
        let connection = handshake(stream, &self.defect).await;
        let connection = connection.map_err(|e| failed(&e))?;
        *self.lock() = connection.clone();
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that failed below gRPC: the connection is gone, or what came is no HTTP/2.
pub(super) fn failed(e: &hyper::Error) -> CallError {
    let gone = || CallError::Unavailable(format!("the connection broke: {}", root_cause(e)));
    if e.is_canceled() || e.is_closed() || e.is_incomplete_message() {
        return gone();
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = e.source();
    while let Some(e) = cause {
        let io = e.downcast_ref::<io::Error>();
        let h2 = e.downcast_ref::<h2::Error>();
        let io = io.or_else(|| h2?.get_io());
        // A server that shuts down says so.
        let bye = |e: &h2::Error| e.is_go_away() && e.reason() == Some(Reason::NO_ERROR);
        if io.is_some_and(was_closed) {
            return CallError::Unavailable(
                "the connection broke: the runtime closed it".to_owned(),
            );
        }
        if io.is_some_and(is_broken) || h2.is_some_and(bye) {
            return gone();
        }
        // So does one that has too much to do.
        if let Some(reason) = h2.and_then(h2::Error::reason)
            && [
                Reason::REFUSED_STREAM,
                Reason::CANCEL,
                Reason::ENHANCE_YOUR_CALM,
            ]
            .contains(&reason)
        {
            return CallError::Unavailable(format!("the runtime refused the call: {reason}"));
        }
        cause = e.source();
    }
    CallError::Garbage(format!("h2 protocol error: {}", root_cause(e)))
}

/// The other side is gone. Which of these comes depends on whether crigc was reading or writing then.
fn was_closed(e: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        UnexpectedEof,
    ]
    .contains(&e.kind())
}

/// What h2 itself finds wrong with a stream comes as an error of no kind.
fn is_broken(e: &io::Error) -> bool {
    !matches!(e.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData)
}

/// The way to the runtime at an endpoint; its first connection stands.
pub(crate) async fn connect(
    place: Place<'_>,
    limit: Duration,
    stop: &Stop<'_>,
) -> Result<Wire, Error> {
    let path = place.path();
    let stream = tokio::select! {
        stream = open(path) => stream.map_err(|e| refused(place, &e))?,
        () = sleep_until(BootInstant::now().plus(limit)) => return Err(Error::new(
            error::Status::Timeout,
            format!("cannot connect to {place}: its backlog stayed full for {limit:?}; see whether the runtime hangs"),
        )),
        cause = stop.wait() => return Err(cause.error()),
    };
    let defect = Defect::default();
    let connection = handshake(stream, &defect).await;
    let connection = connection.map_err(|e| not_cri(place, &e))?;
    Ok(Wire {
        path: path.into(),
        connection: Arc::new(Mutex::new(connection)),
        defect,
    })
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
        error::Status::Unavailable,
        format!("cannot connect to {place}: {cause}; {way_out}"),
    )
}

//! HTTP/2 connections to a unix socket. They never raise SIGPIPE in the host, and wait while the socket's backlog is full.

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

/// How many bytes the runtime may send on a stream before crigc has to ask for more: a list of 16 MiB takes few round trips.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The most bytes of headers and trailers of an answer; an error's message is among them. The limit of grpc-go, which the kubelet uses.
const HEADER_LIMIT: u32 = 16 << 20;
/// HTTP/2 wants the name of a host; a socket has none.
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

/// Where a service is, and the key that sets it.
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

/// The connection to a service. If its HTTP/2 session breaks, the next call starts another one.
pub(crate) struct Connection {
    path: Box<str>,
    session: Mutex<Session>,
    panicked: Panicked,
}

/// One HTTP/2 session on one socket. Its calls write to the socket without a task in between.
#[derive(Clone)]
struct Session {
    sender: SendRequest<Full<Bytes>>,
    /// The error that ended it.
    end: Arc<OnceLock<CallError>>,
}

impl Session {
    /// Why a call failed. For a call that was not sent hyper only says that the session is closed: what closed it is the cause.
    fn failed(&self, e: &hyper::Error) -> CallError {
        let is_closed = e.is_canceled() || e.is_closed();
        let end = self.end.get().filter(|_| is_closed).cloned();
        end.unwrap_or_else(|| failed(e))
    }
}

/// The panic that broke a session.
type Panicked = Arc<OnceLock<Error>>;

/// Runs the tasks of a session beside its calls.
#[derive(Clone)]
struct Tasks(Panicked);

impl<F: Future + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let panicked = self.0.clone();
        drop(tokio::spawn(async move {
            if let Err(e) = panics::caught_async(task).await {
                // Only the first one is reported.
                let _ = panicked.set(e);
            }
        }));
    }
}

/// Starts HTTP/2 on a stream. The task that drives it ends with the last sender.
async fn handshake(stream: QuietStream, panicked: &Panicked) -> Result<Session, hyper::Error> {
    panic_points::point("shake hands");
    let tasks = Tasks(panicked.clone());
    let (sender, connection) = http2::Builder::new(tasks.clone())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIMIT)
        .handshake(TokioIo::new(stream))
        .await?;
    let end = Arc::new(OnceLock::new());
    let ended = end.clone();
    // Nothing waits for this task: calls that fail find its error in `end`.
    tasks.execute(async move {
        if let Err(e) = connection.await {
            let _ = ended.set(failed(&e));
        }
    });
    Ok(Session { sender, end })
}

impl Connection {
    /// The panic that broke a session; the errors of its calls do not name it.
    pub(super) fn panicked(&self) -> Option<Error> {
        self.panicked.get().cloned()
    }

    /// Sends a request. Returns the head of the answer, and the body to come.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, CallError> {
        let mut session = self.session().await?;
        let answer = session.sender.send_request(request).await;
        answer.map_err(|e| session.failed(&e))
    }

    async fn session(&self) -> Result<Session, CallError> {
        let current = self.lock().clone();
        if !current.sender.is_closed() {
            return Ok(current);
        }
        let stream = open(&self.path).await;
        let stream = stream.map_err(|e| CallError::Unreachable(e.to_string()))?;
        let session = handshake(stream, &self.panicked).await;
        let session = session.map_err(|e| failed(&e))?;
        *self.lock() = session.clone();
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that failed below gRPC: the connection is gone, or the answer is not HTTP/2.
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
        // A server sends this when it shuts down.
        let bye = |e: &h2::Error| e.is_go_away() && e.reason() == Some(Reason::NO_ERROR);
        if io.is_some_and(was_closed) {
            return CallError::Unavailable(
                "the connection broke: the runtime closed it".to_owned(),
            );
        }
        if io.is_some_and(is_broken) || h2.is_some_and(bye) {
            return gone();
        }
        // A server sends these when it has too much to do.
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

/// The other side is gone. Which of these errors comes depends on whether crigc was reading or writing.
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

/// The socket failed. What h2 itself finds wrong with a stream comes as one of the other kinds.
fn is_broken(e: &io::Error) -> bool {
    !matches!(e.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData)
}

/// Connects to a service.
pub(crate) async fn connect(
    place: Place<'_>,
    limit: Duration,
    stop: &Stop<'_>,
) -> Result<Connection, Error> {
    let path = place.endpoint.path();
    let stream = tokio::select! {
        stream = open(path) => stream.map_err(|e| refused(place, &e))?,
        () = sleep_until(BootInstant::now().plus(limit)) => return Err(Error::new(
            error::Status::Timeout,
            format!("cannot connect to {place}: its backlog stayed full for {limit:?}; see whether the runtime hangs"),
        )),
        cause = stop.wait() => return Err(cause.error()),
    };
    let panicked = Panicked::default();
    let session = handshake(stream, &panicked).await;
    let session = session.map_err(|e| not_cri(place, &e))?;
    Ok(Connection {
        path: path.into(),
        session: Mutex::new(session),
        panicked,
    })
}

/// The error of a connection that failed.
fn refused(place: Place<'_>, e: &io::Error) -> Error {
    let key = place.key;
    let found = std::fs::metadata(place.endpoint.path());
    let is_other_file = found.is_ok_and(|found| !found.file_type().is_socket());
    let start = format!("start the runtime, or set {key} to its socket");
    let set = format!("set {key} to the runtime's socket");
    let (cause, way_out) = match e.kind() {
        io::ErrorKind::PermissionDenied => (
            e.to_string(),
            "run as a user that may open the socket".to_owned(),
        ),
        io::ErrorKind::ConnectionRefused if is_other_file => ("it is not a socket".to_owned(), set),
        io::ErrorKind::ConnectionRefused => (format!("no process listens on it: {e}"), start),
        io::ErrorKind::NotFound => (e.to_string(), start),
        _ => (e.to_string(), set),
    };
    Error::new(
        error::Status::Unavailable,
        format!("cannot connect to {place}: {cause}; {way_out}"),
    )
}

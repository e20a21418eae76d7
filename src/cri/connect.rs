//! HTTP/2 connections to a unix socket, or on a stream socket of the host.

mod stream;

use super::budget::PATIENCE;
use super::call::without_status;
use super::error::{CallError, not_cri, root_cause};
use crate::clock::BootInstant;
use crate::config::Endpoint;
use crate::error::{self, Error};
use crate::hooks::{Connect, Descriptor, Service};
use crate::panic_points;
use crate::panics;
use crate::stop::{Stop, sleep_until};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use prost::bytes::Bytes;
use rustix::net::{SocketType, sockopt};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stream::{QuietStream, by_path};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// How many bytes the runtime may send on a stream before crigc has to ask for more: a list of 16 MiB takes few round trips.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The most bytes of headers and trailers of an answer; an error's message is among them. The limit of grpc-go, which the kubelet uses.
const HEADER_LIMIT: u32 = 16 << 20;
/// How many calls may be in flight before the runtime has said how many it takes; HTTP/2 advises it to take no fewer.
const FIRST_CALLS: usize = 100;
/// HTTP/2 wants the name of a host; a socket has none.
pub(super) const ORIGIN: &str = "http://localhost";

/// Takes what the host's callback gave.
fn by_host(given: Option<Descriptor>) -> Result<QuietStream, NoStream> {
    let Descriptor { number, socket } = given.ok_or(NoStream::None)?;
    let stream = socket.and_then(|socket| {
        panic_points::point("take a socket of the host");
        check(&socket)?;
        // Small requests do not wait for others. Sockets that are not TCP do not know this option.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    });
    stream
        .map(QuietStream)
        .map_err(|e| NoStream::Unfit(number, e))
}

/// Fails unless this is a stream socket that is connected.
fn check(socket: &OwnedFd) -> io::Result<()> {
    if sockopt::socket_type(socket)? != SocketType::STREAM {
        return Err(io::Error::other("it is not a stream socket"));
    }
    if sockopt::socket_acceptconn(socket)? {
        return Err(io::Error::other("it listens and is not a connection"));
    }
    rustix::net::getpeername(socket)?;
    Ok(())
}

/// Why there is no stream.
enum NoStream {
    /// Connecting to the path failed.
    Path(io::Error),
    /// The host has no connection.
    None,
    /// The host gave this descriptor, which is not one.
    Unfit(i32, io::Error),
}

impl std::fmt::Display for NoStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoStream::Path(e) => e.fmt(f),
            NoStream::None => f.write_str("the connect callback has no connection"),
            NoStream::Unfit(number, e) => {
                write!(f, "the connect callback gave descriptor {number}: {e}")
            }
        }
    }
}

impl NoStream {
    /// The error of a pass that could not connect.
    fn error(&self, place: Place<'_>) -> Error {
        let mut status = error::Status::Unavailable;
        let (cause, way_out) = match self {
            NoStream::Path(e) => refused(place, e),
            NoStream::Unfit(_, e) if lacks_descriptors(e) => {
                status = error::Status::Io;
                let way_out = "see the limit of open files of this process";
                (self.to_string(), way_out.to_owned())
            }
            NoStream::None => (
                self.to_string(),
                "see why the host cannot connect".to_owned(),
            ),
            NoStream::Unfit(..) => (
                self.to_string(),
                "let it return a stream socket that is connected, a new one each time".to_owned(),
            ),
        };
        Error::new(
            status,
            format!("cannot connect to {place}: {cause}; {way_out}"),
        )
    }
}

fn lacks_descriptors(e: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(e);
    matches!(
        errno,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

/// Where a service is, and who connects to it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// The key that sets it.
    pub(crate) key: &'static str,
    pub(crate) service: Service,
    /// The host's callback, if the host connects; the endpoint is only a name then.
    pub(crate) callback: Option<&'a Connect>,
}

impl Place<'_> {
    async fn open(&self) -> Result<QuietStream, NoStream> {
        match self.callback {
            Some(callback) => by_host(callback.with(|connect| connect(self.service))),
            None => by_path(self.endpoint.path()).await.map_err(NoStream::Path),
        }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// The connection to a service. If its HTTP/2 session breaks, the next call starts another one.
pub(crate) struct Connection<'a> {
    place: Place<'a>,
    stop: Stop<'a>,
    session: Mutex<Session>,
    panicked: Panicked,
    /// How often in a row the host had no connection when a session was broken.
    refusals: Cell<u32>,
}

/// One HTTP/2 session on one socket; it ends with its last sender.
type Session = SendRequest<Bytes>;

/// The panic that broke a session.
type Panicked = Arc<OnceLock<Error>>;

/// Starts HTTP/2 on a stream, and a task that reads from it and writes to it beside the calls.
async fn handshake(stream: QuietStream, panicked: &Panicked) -> Result<Session, h2::Error> {
    panic_points::point("shake hands");
    let (session, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIMIT)
        .initial_max_send_streams(FIRST_CALLS)
        .enable_push(false)
        .handshake(stream)
        .await?;
    let panicked = panicked.clone();
    drop(tokio::spawn(async move {
        // Each call of a session that broke gets an error of its own; if the socket could not be written, it says that the runtime closed
        // it. Only the first panic is reported.
        if let Err(e) = panics::caught_async(connection).await {
            let _ = panicked.set(e);
        }
    }));
    Ok(session)
}

impl Connection<'_> {
    /// The panic that broke a session; the errors of its calls do not name it.
    pub(super) fn panicked(&self) -> Option<Error> {
        self.panicked.get().cloned()
    }

    /// Sends a request with this body. Returns the head of the answer, and the body to come.
    pub(super) async fn send(
        &self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Response<RecvStream>, CallError> {
        let mut session = self.session().await?;
        let sent = session.send_request(request, false);
        let (answer, mut stream) = sent.map_err(|e| failed(&e))?;
        // If it cannot be sent any more, the answer tells why.
        let _ = stream.send_data(body, true);
        answer.await.map_err(|e| failed(&e))
    }

    /// The session, or a new one. Calls that find it broken wait for one of them to connect.
    async fn session(&self) -> Result<Session, CallError> {
        let mut session = self.session.lock().await;
        if let Ok(usable) = session.clone().ready().await {
            return Ok(usable);
        }
        let stream = self.open_again().await?;
        let new = handshake(stream, &self.panicked).await;
        *session = new.map_err(|e| failed(&e))?;
        Ok(session.clone())
    }

    /// A stream for a new session. The host's callback may take long each time, so it is asked only while the pass goes on, and no more
    /// after it had no connection several times in a row.
    async fn open_again(&self) -> Result<QuietStream, CallError> {
        if self.place.callback.is_none() {
            let stream = self.place.open().await;
            return stream.map_err(|e| CallError::Unreachable(e.to_string()));
        }
        if let Some(cause) = self.stop.cause() {
            return Err(CallError::Interrupted(cause));
        }
        let refusals = self.refusals.get();
        if refusals >= PATIENCE {
            return Err(CallError::Unreachable(format!(
                "the connect callback had no connection {refusals} times in a row, so this pass does not ask it again"
            )));
        }
        let stream = self.place.open().await;
        self.refusals
            .set(if stream.is_ok() { 0 } else { refusals + 1 });
        stream.map_err(|e| CallError::Unreachable(e.to_string()))
    }
}

/// A call that failed below gRPC: the connection is gone, or the answer is not HTTP/2.
pub(super) fn failed(e: &h2::Error) -> CallError {
    let gone = || CallError::Unavailable(format!("the connection broke: {}", root_cause(e)));
    match (e.get_io(), e.reason()) {
        (Some(io), _) if was_closed(io) => {
            CallError::Unavailable("the connection broke: the runtime closed it".to_owned())
        }
        (Some(io), _) if is_broken(io) => gone(),
        // A server sends this when it shuts down.
        (_, Some(Reason::NO_ERROR)) if e.is_go_away() => gone(),
        // By this a server ends an answer early.
        (_, Some(Reason::NO_ERROR)) if e.is_reset() => without_status(),
        // A server sends these when it has too much to do.
        (
            _,
            Some(reason @ (Reason::REFUSED_STREAM | Reason::CANCEL | Reason::ENHANCE_YOUR_CALM)),
        ) => CallError::Unavailable(format!("the runtime refused the call: {reason}")),
        _ => CallError::Garbage(format!("h2 protocol error: {}", root_cause(e))),
    }
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
pub(crate) async fn connect<'a>(
    place: Place<'a>,
    limit: Duration,
    stop: Stop<'a>,
) -> Result<Connection<'a>, Error> {
    let panicked = Panicked::default();
    let opened = async {
        let stream = place.open().await.map_err(|e| e.error(place))?;
        let session = handshake(stream, &panicked).await;
        session.map_err(|e| not_cri(place, &e))
    };
    let session = tokio::select! {
        biased;
        // A pass that has to end does not ask the host any more.
        cause = stop.wait() => return Err(cause.error()),
        session = opened => session?,
        () = sleep_until(BootInstant::now().plus(limit)) => return Err(too_slow(place, limit)),
    };
    Ok(Connection {
        place,
        stop,
        session: Mutex::new(session),
        panicked,
        refusals: Cell::new(0),
    })
}

/// The error of a runtime that accepts no connection, or reads nothing from one.
fn too_slow(place: Place<'_>, limit: Duration) -> Error {
    let what = match place.callback {
        Some(_) => "the connection of the connect callback took no bytes",
        None => "its backlog stayed full",
    };
    Error::new(
        error::Status::Timeout,
        format!("cannot connect to {place}: {what} for {limit:?}; see whether the runtime hangs"),
    )
}

/// Why a path cannot be connected to, and the way out.
fn refused(place: Place<'_>, e: &io::Error) -> (String, String) {
    let key = place.key;
    let found = std::fs::metadata(place.endpoint.path());
    let is_other_file = found.is_ok_and(|found| !found.file_type().is_socket());
    let start = format!("start the runtime, or set {key} to its socket");
    let set = format!("set {key} to the runtime's socket");
    match e.kind() {
        io::ErrorKind::PermissionDenied => (
            e.to_string(),
            "run as a user that may open the socket".to_owned(),
        ),
        io::ErrorKind::ConnectionRefused if is_other_file => ("it is not a socket".to_owned(), set),
        io::ErrorKind::ConnectionRefused => (format!("no process listens on it: {e}"), start),
        io::ErrorKind::NotFound => (e.to_string(), start),
        _ => (e.to_string(), set),
    }
}

#[cfg(test)]
mod tests;

//! The server: a unix socket, the node behind it, and what every call passes through.

use crate::authority::Rewriter;
use crate::delay::Alarm;
use crate::fault::{Action, Fault, status};
use crate::node::Node;
use crate::proto::image_service_server::ImageServiceServer;
use crate::proto::runtime_service_server::RuntimeServiceServer;
use crate::trace::Call;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

/// containerd's limit for a message.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// How the runtime behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; `None` = a new temporary folder, which goes with the server.
    pub socket: Option<PathBuf>,
    /// How long calls of a method take.
    pub delays: BTreeMap<String, Duration>,
    /// The largest answer, in bytes.
    pub message_limit: usize,
    /// Speak v1alpha2 only, as old runtimes do: every call of v1 is Unimplemented.
    pub only_v1alpha2: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            socket: None,
            delays: BTreeMap::new(),
            message_limit: MESSAGE_LIMIT,
            only_v1alpha2: false,
            faults: Vec::new(),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the calls share.
pub(crate) struct Shared {
    pub(crate) node: Mutex<Node>,
    faults: Mutex<Vec<Fault>>,
    trace: Mutex<Vec<Call>>,
    options: Options,
    alarm: Alarm,
    began: Instant,
    ids: AtomicU64,
}

/// The services; both are the same node.
#[derive(Clone)]
pub(crate) struct Cri(pub(crate) Arc<Shared>);

/// A connection, and a second handle on its socket, so that a fault can cut it.
struct Connection {
    stream: UnixStream,
    rewriter: Rewriter,
    socket: Arc<OwnedFd>,
}

/// The handle that calls see.
#[derive(Clone)]
pub(crate) struct Socket(Arc<OwnedFd>);

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

/// Notes the end of a call, also of one that is cut off.
struct Traced<'a> {
    shared: &'a Shared,
    seq: usize,
    code: i32,
}

impl Drop for Traced<'_> {
    fn drop(&mut self) {
        let now = self.shared.now();
        if let Some(call) = lock(&self.shared.trace).get_mut(self.seq) {
            call.end = now;
            call.code = self.code;
        }
    }
}

/// What a call is about.
pub(crate) struct About<'a> {
    pub(crate) method: &'static str,
    pub(crate) id: &'a [u8],
    pub(crate) argument: i64,
}

impl<'a> About<'a> {
    pub(crate) fn new(method: &'static str, id: &'a [u8]) -> About<'a> {
        About {
            method,
            id,
            argument: 0,
        }
    }
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A new ID as containerd makes them: 64 hex digits.
    pub(crate) fn new_id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{spread:016x}{number:016x}{:032x}",
            u128::from(spread) << 13
        )
    }

    fn begin(&self, about: &About<'_>) -> Traced<'_> {
        let mut trace = lock(&self.trace);
        let running = |call: &&Call| call.method == about.method && call.end == 0;
        let in_flight = trace.iter().rev().take(1000).filter(running).count() + 1;
        let seq = trace.len();
        trace.push(Call {
            seq,
            method: about.method,
            id: String::from_utf8_lossy(about.id).into_owned(),
            start: self.now(),
            end: 0,
            in_flight,
            code: -1,
            argument: about.argument,
        });
        Traced {
            shared: self,
            seq,
            code: -1,
        }
    }

    fn fault(&self, about: &About<'_>) -> Option<Action> {
        let mut faults = lock(&self.faults);
        faults
            .iter_mut()
            .find_map(|fault| fault.hit(about.method, about.id))
    }
}

impl Cri {
    /// Runs a call: trace, faults, delay, work.
    pub(crate) async fn call<Q, A: prost::Message>(
        &self,
        request: &Request<Q>,
        about: About<'_>,
        work: impl FnOnce(&mut Node) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let mut traced = self.0.begin(&about);
        let socket = request.extensions().get::<Socket>().cloned();
        let result = self.answer(socket, &about, work).await;
        traced.code = result.as_ref().map_or_else(|e| e.code() as i32, |_| 0);
        result.map(Response::new)
    }

    async fn answer<A: prost::Message>(
        &self,
        socket: Option<Socket>,
        about: &About<'_>,
        work: impl FnOnce(&mut Node) -> Result<A, Status>,
    ) -> Result<A, Status> {
        let options = &self.0.options;
        if options.only_v1alpha2 {
            return Err(Status::unimplemented(
                "unknown service runtime.v1.RuntimeService",
            ));
        }
        let mut late = None;
        match self.0.fault(about) {
            None => {}
            Some(Action::Code(code, message)) => return Err(status(code, &message)),
            Some(Action::Late(code, message)) => late = Some(status(code, &message)),
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Disconnect) => cut(socket, b"").await,
            Some(Action::Garbage) => {
                cut(
                    socket,
                    b"\x00\x00\x2a\xff\x7f no HTTP/2 frame at all\r\n\r\n",
                )
                .await
            }
        }
        if let Some(delay) = options.delays.get(about.method) {
            self.0.alarm.sleep(*delay).await;
        }
        let answer = work(&mut lock(&self.0.node))?;
        if let Some(late) = late {
            return Err(late);
        }
        let size = answer.encoded_len();
        if size > options.message_limit {
            return Err(Status::resource_exhausted(format!(
                "grpc: trying to send message larger than max ({size} vs. {})",
                options.message_limit
            )));
        }
        Ok(answer)
    }
}

/// Sends last bytes and ends the connection, and the call with it.
async fn cut(socket: Option<Socket>, last: &[u8]) {
    if let Some(Socket(socket)) = socket {
        // The other end may have gone already; then there is nothing to cut.
        let _ = rustix::net::send(&*socket, last, rustix::net::SendFlags::NOSIGNAL);
        let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
    }
    std::future::pending().await
}

/// A running server; it ends when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    socket: PathBuf,
    folder: Option<PathBuf>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A folder of its own for the socket.
fn folder() -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("crisim-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// Removes a socket that nobody listens on any more, and nothing else: it may be a real runtime's.
fn make_room(socket: &Path) -> io::Result<()> {
    let refused = |what: &str| {
        let text = format!("{} {what}; give another --socket", socket.display());
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    };
    match std::fs::symlink_metadata(socket) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => return refused("is no socket"),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(socket) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(socket),
        _ => refused("is in use"),
    }
}

impl Server {
    /// Listens, and answers until it is dropped.
    pub fn start(node: Node, options: Options) -> io::Result<Server> {
        let (socket, folder) = match &options.socket {
            Some(socket) => (socket.clone(), None),
            None => {
                let folder = folder()?;
                (folder.join("crisim.sock"), Some(folder))
            }
        };
        make_room(&socket)?;
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;
        node.filesystem.tell();
        let shared = Arc::new(Shared {
            node: Mutex::new(node),
            faults: Mutex::new(options.faults.clone()),
            trace: Mutex::default(),
            options,
            alarm: Alarm::start(),
            began: Instant::now(),
            ids: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("crisim".to_owned())
            .spawn(move || runtime.block_on(serve(of_thread, listener, ended)))?;
        Ok(Server {
            shared,
            socket,
            folder,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The socket as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Takes another node and other faults, with an empty trace, as if it were new; connections stay. For a moment in which no
    /// call is under way.
    pub fn renew(&self, node: Node, faults: Vec<Fault>) {
        node.filesystem.tell();
        *lock(&self.shared.node) = node;
        *lock(&self.shared.faults) = faults;
        lock(&self.shared.trace).clear();
    }

    /// What is left of the node.
    pub fn state(&self) -> Node {
        lock(&self.shared.node).clone()
    }

    /// All calls so far.
    pub fn trace(&self) -> Vec<Call> {
        lock(&self.shared.trace).clone()
    }

    /// Forgets the calls that have ended.
    pub fn clear_trace(&self) {
        let mut trace = lock(&self.shared.trace);
        if trace.iter().all(|call| call.end > 0) {
            trace.clear();
        }
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.shared.faults) = faults;
    }

    /// Changes the node under way.
    pub fn edit(&self, change: impl FnOnce(&mut Node)) {
        change(&mut lock(&self.shared.node));
    }
}

async fn serve(shared: Arc<Shared>, listener: UnixListener, ended: oneshot::Receiver<()>) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return eprintln!("crisim: cannot listen: {e}"),
    };
    let incoming = UnixListenerStream::new(listener).map(|stream| {
        let stream = stream?.into_std()?;
        let socket = Arc::new(OwnedFd::from(stream.try_clone()?));
        let stream = UnixStream::from_std(stream)?;
        io::Result::Ok(Connection {
            stream,
            rewriter: Rewriter::new(),
            socket,
        })
    });
    let cri = Cri(shared);
    let served = tonic::transport::Server::builder()
        .add_service(RuntimeServiceServer::new(cri.clone()))
        .add_service(ImageServiceServer::new(cri))
        .serve_with_incoming(incoming);
    tokio::select! {
        result = served => if let Err(e) = result {
            eprintln!("crisim: {e}");
        },
        // Dropped with its server, or told to end: either way it is over.
        _ = ended => {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed where it came about.
            let _ = thread.join();
        }
        self.shared.alarm.end();
        let _ = std::fs::remove_file(&self.socket);
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

//! The server: a unix socket, its node, and the steps of every call.

use crate::claim::{self, Claim};
use crate::connection::{Connection, Socket, cut};
use crate::delay::Alarm;
use crate::fault::{Action, Fault, status};
use crate::node::Node;
use crate::served::image_service_server::ImageServiceServer;
use crate::served::runtime_service_server::RuntimeServiceServer;
use crate::store::Store;
use crate::stream::Sent;
use crate::trace::{Call, Trace, Traced};
use crate::workers::{Work, Workers};
use prost::bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};
use tower::util::MapResponseLayer;

/// containerd's limit for a message.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// The most rows of a message of a stream.
pub const STREAM_ITEMS: usize = 500;

/// How the runtime behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; `None` = a new temporary folder, which is removed with the server.
    pub socket: Option<PathBuf>,
    /// How long calls of a method take.
    pub delays: BTreeMap<String, Duration>,
    /// How many calls it does at once, and what else decides how long they take.
    pub work: Work,
    /// How it works after so many removals, in ascending order.
    pub later: Vec<(usize, Work)>,
    /// The largest answer, in bytes.
    pub message_limit: usize,
    /// Speak v1alpha2 only, as old runtimes do: every call of v1 is Unimplemented.
    pub only_v1alpha2: bool,
    /// Serve the streaming lists, which runtimes have for Kubernetes 1.36 and later; otherwise they are Unimplemented.
    pub streams: bool,
    /// The most rows of a message of a stream.
    pub stream_items: usize,
    /// The version that it reports.
    pub version: String,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            socket: None,
            delays: BTreeMap::new(),
            work: Work::default(),
            later: Vec::new(),
            message_limit: MESSAGE_LIMIT,
            only_v1alpha2: false,
            streams: false,
            stream_items: STREAM_ITEMS,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            faults: Vec::new(),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change of the node at a call.
struct Change {
    method: String,
    /// How many calls of the method are made first.
    skip: u64,
    change: Box<dyn FnOnce(&mut Node) + Send>,
}

/// The data that calls share.
pub(crate) struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Vec<Fault>>,
    changes: Mutex<Vec<Change>>,
    pub(crate) trace: Mutex<Trace>,
    pub(crate) options: Options,
    pub(crate) alarm: Alarm,
    workers: Workers,
    began: Instant,
    ids: AtomicU64,
}

/// The services; both are the same node.
#[derive(Clone)]
pub(crate) struct Cri(pub(crate) Arc<Shared>);

/// The object of a call.
pub(crate) struct About<'a> {
    pub(crate) method: &'static str,
    pub(crate) id: &'a [u8],
    pub(crate) argument: i64,
    pub(crate) selector: String,
}

impl<'a> About<'a> {
    pub(crate) fn new(method: &'static str, id: &'a [u8]) -> About<'a> {
        About {
            method,
            id,
            argument: 0,
            selector: String::new(),
        }
    }

    /// A list by a filter.
    pub(crate) fn list(method: &'static str, selector: String) -> About<'a> {
        About {
            selector,
            ..About::new(method, b"")
        }
    }
}

/// How a call ends after its work.
pub(crate) enum Ending {
    /// Well, with nothing done.
    Nothing,
    Well,
    /// With this status; a stream after so many messages.
    Status(usize, Status),
    /// With its connection; a stream after so many messages.
    Cut(usize),
    /// Well, but for the length of its message.
    Huge(Claim),
}

/// The answer that a call ends with.
fn respond<A>(answer: A, ending: &Ending) -> Response<A> {
    let mut response = Response::new(answer);
    if let Ending::Huge(claim) = ending {
        response.extensions_mut().insert(*claim);
    }
    response
}

impl Shared {
    pub(crate) fn now(&self) -> u64 {
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

    /// Changes the node if a change is due at this call.
    fn change(&self, method: &str) {
        let mut due = Vec::new();
        {
            let mut changes = lock(&self.changes);
            let mut at = 0;
            while at < changes.len() {
                let own = &mut changes[at];
                match (own.method == method, own.skip) {
                    (true, 0) => due.push(changes.remove(at)),
                    (true, _) => {
                        own.skip -= 1;
                        at += 1;
                    }
                    (false, _) => at += 1,
                }
            }
        }
        for Change { change, .. } in due {
            lock(&self.store).edit(change);
        }
    }

    fn fault(&self, about: &About<'_>) -> Option<Action> {
        let mut faults = lock(&self.faults);
        faults
            .iter_mut()
            .find_map(|fault| fault.hit(about.method, about.id))
    }
}

/// The answer if a message is above the limit.
pub(crate) fn too_large(size: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!(
        "grpc: trying to send message larger than max ({size} vs. {limit})"
    ))
}

/// The answer of a runtime that does not have a call.
fn unknown(about: &About<'_>) -> Status {
    let service = match about.method {
        "StreamImages" => "ImageService",
        _ => "RuntimeService",
    };
    Status::unimplemented(format!(
        "unknown method {} for service runtime.v1.{service}",
        about.method
    ))
}

impl Cri {
    /// Runs a call: trace, faults, delay, work.
    pub(crate) async fn call<Q, A: prost::Message + Default>(
        &self,
        request: &Request<Q>,
        about: About<'_>,
        work: impl FnOnce(&mut Store) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let mut traced = Traced::begin(&self.0, &about);
        let socket = request.extensions().get::<Socket>().cloned();
        let result = self.answer(socket, &about, work).await;
        traced.code = result.as_ref().map_or_else(|e| e.code() as i32, |_| 0);
        result
    }

    async fn answer<A: prost::Message + Default>(
        &self,
        socket: Option<Socket>,
        about: &About<'_>,
        work: impl FnOnce(&mut Store) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let ending = self.prepare(&socket, about).await?;
        self.0.change(about.method);
        let answer = match ending {
            Ending::Nothing => A::default(),
            _ => work(&mut lock(&self.0.store))?,
        };
        let response = respond(answer, &ending);
        match ending {
            Ending::Well | Ending::Nothing | Ending::Huge(_) => {}
            Ending::Status(_, status) => return Err(status),
            Ending::Cut(_) => cut(socket, b"").await,
        }
        let (size, limit) = (
            response.get_ref().encoded_len(),
            self.0.options.message_limit,
        );
        if size > limit {
            Err(too_large(size, limit))
        } else {
            Ok(response)
        }
    }

    /// Runs a call that streams rows: the same, and its end is that of the stream.
    pub(crate) async fn stream<Q, A>(
        &self,
        request: &Request<Q>,
        about: About<'_>,
        rows: impl FnOnce(&Store) -> Vec<Bytes>,
        message: fn(Vec<Bytes>) -> A,
    ) -> Result<Response<Sent<A>>, Status> {
        let mut traced = Traced::begin(&self.0, &about);
        let socket = request.extensions().get::<Socket>().cloned();
        let options = &self.0.options;
        let ready = if options.streams || options.only_v1alpha2 {
            self.prepare(&socket, &about).await
        } else {
            Err(unknown(&about))
        };
        let ending = ready.inspect_err(|e| traced.code = e.code() as i32)?;
        self.0.change(about.method);
        let rows = match ending {
            Ending::Nothing => Vec::new(),
            _ => rows(&lock(&self.0.store)),
        };
        let response = respond((), &ending);
        Ok(response.map(|()| Sent::new(rows, message, ending, socket, traced)))
    }

    /// The steps before a call's work; returns how the call will end.
    async fn prepare(&self, socket: &Option<Socket>, about: &About<'_>) -> Result<Ending, Status> {
        let options = &self.0.options;
        if options.only_v1alpha2 {
            return Err(Status::unimplemented(
                "unknown service runtime.v1.RuntimeService",
            ));
        }
        let ending = match self.0.fault(about) {
            None => Ending::Well,
            Some(Action::Nothing) => Ending::Nothing,
            Some(Action::Code(code, message)) => return Err(status(code, &message)),
            Some(Action::Late(code, message)) => Ending::Status(usize::MAX, status(code, &message)),
            Some(Action::Break(after, code, message)) => {
                Ending::Status(after, status(code, &message))
            }
            Some(Action::Cut(after)) => Ending::Cut(after),
            Some(Action::Half(bytes)) => {
                if let Some(socket) = socket {
                    socket.send_only(bytes);
                }
                Ending::Well
            }
            Some(Action::Huge(bytes)) => Ending::Huge(Claim(bytes)),
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Disconnect) => cut(socket.clone(), b"").await,
            Some(Action::Garbage) => {
                let nonsense = b"\x00\x00\x2a\xff\x7f no HTTP/2 frame at all\r\n\r\n";
                cut(socket.clone(), nonsense).await
            }
        };
        let delay = options.delays.get(about.method).copied();
        let (alarm, workers) = (&self.0.alarm, &self.0.workers);
        workers
            .perform(
                |time| alarm.sleep(time),
                about.method,
                about.id,
                delay.unwrap_or_default(),
            )
            .await;
        Ok(ending)
    }
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

/// Removes a socket without a listener, and nothing else: it may be a real runtime's.
fn free_space(socket: &Path) -> io::Result<()> {
    let refused = |what: &str| {
        let text = format!("{} {what}; give another --socket", socket.display());
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    };
    match std::fs::symlink_metadata(socket) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => return refused("is not a socket"),
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
        free_space(&socket)?;
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;
        node.filesystem.tell();
        let store = Store::new(node);
        store.encode();
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            faults: Mutex::new(options.faults.clone()),
            changes: Mutex::default(),
            trace: Mutex::default(),
            workers: Workers::new(options.work.clone(), options.later.clone()),
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

    /// Takes another node and other faults, with an empty trace, as if it were new; connections stay open. No call may be running.
    pub fn renew(&self, node: Node, faults: Vec<Fault>) {
        node.filesystem.tell();
        let store = Store::new(node);
        store.encode();
        *lock(&self.shared.store) = store;
        *lock(&self.shared.faults) = faults;
        lock(&self.shared.trace).calls.clear();
    }

    /// The node.
    pub fn state(&self) -> Node {
        lock(&self.shared.store).state()
    }

    /// All calls so far.
    pub fn trace(&self) -> Vec<Call> {
        lock(&self.shared.trace).calls.clone()
    }

    /// Forgets the calls that have ended.
    pub fn clear_trace(&self) {
        let trace = &mut lock(&self.shared.trace).calls;
        if trace.iter().all(|call| call.end > 0) {
            trace.clear();
        }
    }

    /// The faults from now on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.shared.faults) = faults;
    }

    /// Changes the node right before the answer to a call, after this number of answers of the method; once.
    pub fn change_at(
        &self,
        method: &str,
        skip: u64,
        change: impl FnOnce(&mut Node) + Send + 'static,
    ) {
        lock(&self.shared.changes).push(Change {
            method: method.to_owned(),
            skip,
            change: Box::new(change),
        });
    }

    /// How many of these changes have not been made yet.
    pub fn changes_ahead(&self) -> usize {
        lock(&self.shared.changes).len()
    }

    /// Changes the node while it runs.
    pub fn edit(&self, change: impl FnOnce(&mut Node)) {
        lock(&self.shared.store).edit(change);
    }
}

async fn serve(shared: Arc<Shared>, listener: UnixListener, ended: oneshot::Receiver<()>) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return eprintln!("crisim: cannot listen: {e}"),
    };
    let incoming = UnixListenerStream::new(listener).map(|stream| Connection::new(stream?));
    let cri = Cri(shared);
    let served = tonic::transport::Server::builder()
        .layer(MapResponseLayer::new(claim::carry_out))
        .add_service(RuntimeServiceServer::new(cri.clone()))
        .add_service(ImageServiceServer::new(cri))
        .serve_with_incoming(incoming);
    tokio::select! {
        result = served => if let Err(e) = result {
            eprintln!("crisim: {e}");
        },
        // It ends if its server is dropped or ends it.
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

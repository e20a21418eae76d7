//! The program `crisim`.

use clap::Parser;
use crisim::fault::Fault;
use crisim::made::Order;
use crisim::node::{Node, State, Word};
use crisim::workers::Work;
use crisim::{Options, Server};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A CRI runtime in memory on a unix socket, with a node made to order. It prints a line when it listens, and runs until SIGTERM or SIGINT.
/// SIGUSR1 makes it write --state-out and --trace-out and print `written`. SIGHUP makes it read --node and --faults again, in place of its
/// node, and print `read`; a file that cannot be read ends it.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Where to listen.
    #[arg(long, required_unless_present = "summary")]
    socket: Option<PathBuf>,
    /// The node as a JSON file (the form of --state-out), with log files where its containers name some below --pod-logs-dir, and
    /// READY pods as live ones; without it the node is made from the numbers below.
    #[arg(long)]
    node: Option<PathBuf>,
    /// Pods, live and deleted.
    #[arg(long, default_value_t = 300, conflicts_with = "node")]
    pods: usize,
    /// How many percent of the pods were deleted and left objects behind.
    #[arg(long, default_value_t = 20, conflicts_with = "node")]
    deleted_percent: usize,
    /// Dead containers, spread over the pods.
    #[arg(long, default_value_t = 2000, conflicts_with = "node")]
    dead_containers: usize,
    /// Images; half of them are in use.
    #[arg(long, default_value_t = 60, conflicts_with = "node")]
    images: usize,
    /// How full the image filesystem is, in percent.
    #[arg(long, default_value_t = 92, conflicts_with = "node")]
    fill: u64,
    /// How much of an image's size its removal frees, in percent: less where images share layers, more where they report compressed sizes.
    #[arg(long, default_value_t = 100, conflicts_with = "node")]
    freed_percent: u64,
    /// How full it is in inodes, in percent; without this it does not say.
    #[arg(long, conflicts_with = "node")]
    fill_inodes: Option<u64>,
    /// How many of the first dead containers of each live pod another program has removed, whose logs are still there.
    #[arg(long, default_value_t = 0, conflicts_with = "node")]
    removed_by_hand: usize,
    /// Same seed, same node.
    #[arg(long, default_value_t = 1, conflicts_with = "node")]
    seed: u64,
    /// Make log files here.
    #[arg(long)]
    pod_logs_dir: Option<PathBuf>,
    /// Make links to the log files here.
    #[arg(long)]
    container_logs_dir: Option<PathBuf>,
    /// The mount point in ImageFsInfo; / unless the file of --node has another.
    #[arg(long)]
    mountpoint: Option<String>,
    /// Write the usage here: one line, capacity and available in bytes.
    #[arg(long)]
    usage_file: Option<PathBuf>,
    /// Write the UIDs of the live pods here, one a line.
    #[arg(long)]
    live_pods_out: Option<PathBuf>,
    /// Make a directory for each live pod here, as a kubelet does: DIR/pods/UID.
    #[arg(long)]
    kubelet_dir_out: Option<PathBuf>,
    /// How long each removal takes, in ms.
    #[arg(long, default_value_t = 0)]
    remove_delay_ms: u64,
    /// How long calls of a method take, in ms, such as ListImages=20; may be repeated. RemoveContainer=1,5,50 gives each third of
    /// the containers a delay of its own.
    #[arg(long, value_name = "METHOD=MS[,MS...]")]
    delay: Vec<String>,
    /// How many removals and starts of pods the runtime does at once, first come first served; 0 = any number.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// For how long each removal holds a lock that all removals share, in ms.
    #[arg(long, default_value_t = 0)]
    serial_ms: u64,
    /// By how many percent of itself the delay of a removal or a start may be longer or shorter.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    noise_percent: u32,
    /// What changes after so many removals, such as 500:workers=1, 500:serial-ms=2, 500:noise-percent=50 or
    /// 500:delay=RemoveContainer=50; may be repeated, in ascending order.
    #[arg(long, value_name = "REMOVALS:FLAG=VALUE")]
    after: Vec<String>,
    /// The largest answer in bytes, as containerd has one.
    #[arg(long, default_value_t = crisim::server::MESSAGE_LIMIT)]
    message_limit: usize,
    /// Speak v1alpha2 only.
    #[arg(long)]
    only_v1alpha2: bool,
    /// Serve StreamContainers, StreamPodSandboxes and StreamImages, which the kubelet uses since 1.36; without it they are Unimplemented.
    #[arg(long)]
    streams: bool,
    /// The most rows of a message of a stream.
    #[arg(long, default_value_t = crisim::server::STREAM_ITEMS)]
    stream_items: usize,
    /// The faults: a JSON file with a list of {"method", "id", "skip", "count", "action"}; actions are {"code": [5, "text"]}, {"late": [13,
    /// "text"]}, {"break": [2, 13, "text"]} and {"cut": 2} (a stream, or its connection, after two messages), "hang", "disconnect" and
    /// "garbage".
    #[arg(long)]
    faults: Option<PathBuf>,
    /// Write the node here at the end, as JSON.
    #[arg(long)]
    state_out: Option<PathBuf>,
    /// Write all calls here at the end, a JSON object a line.
    #[arg(long)]
    trace_out: Option<PathBuf>,
    /// Print a summary of a file of --state-out, and do nothing else.
    #[arg(long, value_name = "STATE")]
    summary: Option<PathBuf>,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// A method, and how long its calls take.
fn sizes(text: &str) -> Result<(String, Vec<Duration>), Box<dyn Error>> {
    let (method, sizes) = text.split_once('=').ok_or("give METHOD=MS")?;
    let sizes = sizes
        .split(',')
        .map(|ms| Ok(Duration::from_millis(ms.parse()?)))
        .collect::<Result<_, std::num::ParseIntError>>()?;
    Ok((method.to_owned(), sizes))
}

/// What --after says.
fn later(work: &Work, after: &[String]) -> Result<Vec<(usize, Work)>, Box<dyn Error>> {
    let mut work = work.clone();
    let mut later: Vec<(usize, Work)> = Vec::new();
    for text in after {
        let wrong = |e: &dyn std::fmt::Display| format!("--after {text}: {e}");
        let parts = text.split_once(':').and_then(|(removals, flag)| {
            let (name, value) = flag.split_once('=')?;
            Some((removals, name, value))
        });
        let (removals, name, value) = parts.ok_or_else(|| wrong(&"give REMOVALS:FLAG=VALUE"))?;
        let removals = removals.parse().map_err(|e| wrong(&e))?;
        if later.last().is_some_and(|(before, _)| *before > removals) {
            return Err(wrong(&"it comes before the last").into());
        }
        match name {
            "workers" => work.workers = value.parse().map_err(|e| wrong(&e))?,
            "serial-ms" => {
                work.serial = Duration::from_millis(value.parse().map_err(|e| wrong(&e))?);
            }
            "noise-percent" => {
                work.noise_percent = value.parse().map_err(|e| wrong(&e))?;
                if work.noise_percent > 100 {
                    return Err(wrong(&"noise is at most 100 percent").into());
                }
            }
            "delay" => {
                let (method, sizes) = sizes(value).map_err(|e| wrong(&e))?;
                work.sizes.insert(method, sizes);
            }
            _ => {
                return Err(
                    wrong(&"workers, serial-ms, noise-percent and delay can change").into(),
                );
            }
        }
        later.push((removals, work.clone()));
    }
    Ok(later)
}

impl Flags {
    fn node(&self) -> Result<Node, Box<dyn Error>> {
        let (node, live) = match &self.node {
            Some(path) => self.node_of_file(path)?,
            None => self.node_of_numbers()?,
        };
        if let Some(path) = &self.live_pods_out {
            std::fs::write(path, live.join("\n") + "\n")?;
        }
        for uid in live.iter().filter(|_| self.kubelet_dir_out.is_some()) {
            let dir = self.kubelet_dir_out.clone().unwrap_or_default();
            std::fs::create_dir_all(dir.join("pods").join(uid))?;
        }
        Ok(node)
    }

    fn node_of_file(&self, path: &Path) -> Result<(Node, Vec<String>), Box<dyn Error>> {
        let mut node: Node = read(path)?;
        if let Some(mountpoint) = &self.mountpoint {
            node.filesystem.mountpoint = mountpoint.clone().into();
        }
        if self.usage_file.is_some() {
            node.filesystem.usage_file = self.usage_file.clone();
        }
        let (pods, links) = (&self.pod_logs_dir, &self.container_logs_dir);
        node.make_files(pods.as_deref(), links.as_deref())?;
        let live = node.live();
        Ok((node, live))
    }

    fn node_of_numbers(&self) -> Result<(Node, Vec<String>), Box<dyn Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let mut made = Order {
            pods: self.pods,
            deleted_percent: self.deleted_percent,
            dead_containers: self.dead_containers,
            images: self.images,
            fill_percent: self.fill,
            seed: self.seed,
            now: i64::try_from(now)?,
            pod_logs_dir: self.pod_logs_dir.clone(),
            container_logs_dir: self.container_logs_dir.clone(),
            mountpoint: self.mountpoint.clone().unwrap_or_else(|| "/".to_owned()),
            usage_file: self.usage_file.clone(),
        }
        .make()?;
        made.node.filesystem.freed_percent = self.freed_percent;
        if let Some(percent) = self.fill_inodes {
            made.node.fill_inodes(percent);
        }
        made.node.remove_by_hand(self.removed_by_hand)?;
        Ok((made.node, made.live))
    }

    fn options(&self) -> Result<Options, Box<dyn Error>> {
        let mut delays = BTreeMap::new();
        for method in ["RemoveContainer", "RemovePodSandbox", "RemoveImage"] {
            let delay = Duration::from_millis(self.remove_delay_ms);
            delays.insert(method.to_owned(), delay);
        }
        let mut work = Work {
            workers: self.workers,
            serial: Duration::from_millis(self.serial_ms),
            noise_percent: self.noise_percent,
            sizes: BTreeMap::new(),
        };
        for delay in &self.delay {
            let (method, sizes) = sizes(delay).map_err(|e| format!("--delay {delay}: {e}"))?;
            work.sizes.insert(method, sizes);
        }
        Ok(Options {
            socket: self.socket.clone(),
            delays,
            later: later(&work, &self.after)?,
            work,
            message_limit: self.message_limit,
            only_v1alpha2: self.only_v1alpha2,
            streams: self.streams,
            stream_items: self.stream_items,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            faults: self.read_faults()?,
        })
    }

    fn read_faults(&self) -> Result<Vec<Fault>, Box<dyn Error>> {
        match &self.faults {
            Some(path) => read(path),
            None => Ok(Vec::new()),
        }
    }

    /// Handles SIGHUP.
    fn renew(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        if self.node.is_none() {
            return Err("SIGHUP reads --node anew, and there is none".into());
        }
        server.renew(self.node()?, self.read_faults()?);
        tell("read")
    }

    /// Handles SIGUSR1.
    fn write(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        self.write_trace(server)?;
        self.write_state(server)?;
        tell("written")
    }

    fn write_state(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        if let Some(path) = &self.state_out {
            let new = path.with_extension("new");
            std::fs::write(&new, serde_json::to_vec(&server.state())?)?;
            std::fs::rename(new, path)?;
        }
        Ok(())
    }

    fn write_trace(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        if let Some(path) = &self.trace_out {
            let mut lines = String::new();
            for call in server.trace() {
                lines += &serde_json::to_string(&call)?;
                lines.push('\n');
            }
            std::fs::write(path, lines)?;
        }
        Ok(())
    }
}

/// Prints a line for the sender of a signal, who need not read it.
fn tell(line: &str) -> Result<(), Box<dyn Error>> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A node in a few lines.
fn summary(node: &Node) -> String {
    let running = |state: State| state == State::Word(Word::Running);
    let ready = |state: State| state == State::Word(Word::Ready);
    let alive = node.containers.iter().filter(|c| running(c.state)).count();
    let up = node.sandboxes.iter().filter(|s| ready(s.state)).count();
    let filesystem = &node.filesystem;
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let free = u128::from(filesystem.available) * 100 / u128::from(filesystem.capacity.max(1));
    let used: u64 = node.images.iter().map(|image| image.size).sum();
    format!(
        "containers   {:5} running  {:5} dead\nsandboxes    {:5} ready    {:5} not ready\nimages       {:5}  {:6.1} GiB\nfilesystem   {:4}% full  {:.1} of {:.1} GiB free",
        alive,
        node.containers.len() - alive,
        up,
        node.sandboxes.len() - up,
        node.images.len(),
        gib(used),
        100 - free,
        gib(filesystem.available),
        gib(filesystem.capacity)
    )
}

async fn until_told_to_end(flags: &Flags, server: &Server) -> Result<(), Box<dyn Error>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut user = signal(SignalKind::user_defined1())?;
    let mut hangup = signal(SignalKind::hangup())?;
    println!("listening on {}", server.endpoint());
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = user.recv() => flags.write(server)?,
            _ = hangup.recv() => flags.renew(server)?,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    if let Some(path) = &flags.summary {
        println!("{}", summary(&read(path)?));
        return Ok(());
    }
    let server = Server::start(flags.node()?, flags.options()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(until_told_to_end(&flags, &server))?;
    flags.write_state(&server)?;
    flags.write_trace(&server)
}

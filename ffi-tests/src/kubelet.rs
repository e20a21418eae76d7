//! A node of the test's own: a real kubelet without an API server, with static pods, on a containerd whose images lie on a small filesystem.

use crate::containerd::Containerd;
use crate::filesystem::{self, Filesystem};
use crate::image::Layer;
use crate::process::{self, Made};
use crisim::proto;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A node with a kubelet. Fields are dropped in this order: the kubelet's process first.
pub struct Node {
    kubelet: Option<Child>,
    program: PathBuf,
    port: u16,
    /// Its runtime.
    pub containerd: Containerd,
    /// What its images lie on.
    pub filesystem: Filesystem,
}

/// How long a kubelet may take until it answers.
const START: Duration = Duration::from_secs(120);

/// What of a process must not grow.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Its memory in use, in KiB (VmRSS).
    pub memory: u64,
    /// Its threads.
    pub threads: u64,
    /// Its open descriptors.
    pub descriptors: u64,
}

/// What is on a node, by names that are the same on each: pods and containers with their attempts and states, images, log files and links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left(pub BTreeSet<String>);

impl Left {
    /// What only one of two nodes has.
    pub fn difference(&self, other: &Left) -> Vec<String> {
        let differs = self.0.symmetric_difference(&other.0);
        differs.cloned().collect()
    }
}

fn free_port() -> Made<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Node {
    /// Starts a containerd on a filesystem of its own, and this kubelet on it; `settings` are merged into its configuration.
    pub fn start(program: &Path, mebibytes: u64, settings: &Value) -> Made<Node> {
        let filesystem = Filesystem::make(mebibytes, &[])?;
        let containerd = Containerd::start_with(&filesystem.path(), "overlayfs", "")?;
        for name in ["manifests", "kubelet", "plugins"] {
            std::fs::create_dir(containerd.path(name))?;
        }
        let port = free_port()?;
        let mut node = Node {
            kubelet: None,
            program: program.to_owned(),
            port,
            containerd,
            filesystem,
        };
        let mut configuration = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": free_port()?,
            "readOnlyPort": port,
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": node.containerd.endpoint(),
            "staticPodPath": node.containerd.path("manifests"),
            "podLogsDir": node.containerd.path("pods"),
            "volumePluginDir": node.containerd.path("plugins"),
            "fileCheckFrequency": "1s",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failCgroupV1": false,
            "failSwapOn": false,
            "makeIPTablesUtilChains": false,
        });
        if let (Some(all), Some(more)) = (configuration.as_object_mut(), settings.as_object()) {
            all.extend(more.clone());
        }
        let text = serde_json::to_vec_pretty(&configuration)?;
        std::fs::write(node.containerd.path("kubelet.json"), text)?;
        node.start_kubelet(&[])?;
        Ok(node)
    }

    /// Starts the kubelet, with more flags.
    fn start_kubelet(&mut self, flags: &[&str]) -> Made<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.containerd.path("kubelet.log"))?;
        // In a mount namespace of its own, what no configuration can move is the kubelet's alone: folders, and the host's settings, of
        // which it gets copies to write.
        let script = "mount -t tmpfs none /var/lib && mount -t tmpfs none /var/log && \
            mkdir /var/log/containers && mount --bind \"$0\" /var/log/containers && \
            for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
                kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do \
                copy=/var/lib/$(basename $setting) && cat /proc/sys/$setting >$copy && \
                mount --bind $copy /proc/sys/$setting || exit 1; \
            done && exec \"$@\"";
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(self.containerd.path("links"))
            .arg(&self.program)
            .arg("--config")
            .arg(self.containerd.path("kubelet.json"))
            .arg("--root-dir")
            .arg(self.containerd.path("kubelet"))
            .arg("--cert-dir")
            .arg(self.containerd.path("kubelet/pki"))
            // At this level the kubelet logs its events, which nobody else gets without an API server.
            .args(["--hostname-override", "node", "--v", "3"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.kubelet = Some(child);
        let end = Instant::now() + START;
        while self.get("/healthz").ok().as_deref() != Some("ok") {
            if Instant::now() > end {
                return Err(format!("the kubelet does not come up:\n{}", self.log()?).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends the kubelet; its pods go on.
    fn end_kubelet(&mut self) {
        if let Some(mut child) = self.kubelet.take() {
            process::end(&mut child);
        }
    }

    /// Imports an image with so much in it. It is made elsewhere, so that it does not fill the node twice.
    pub fn import(&self, name: &str, mebibytes: usize) -> Made<()> {
        let layer = Layer::filled(name, mebibytes);
        self.containerd
            .import_layers(self.filesystem.beside(), name, &[layer])
    }

    /// Restarts the kubelet, with more flags than the usual ones.
    pub fn restart_kubelet(&mut self, flags: &[&str]) -> Made<()> {
        self.end_kubelet();
        self.start_kubelet(flags)
    }

    /// What the kubelet wrote since its first start.
    pub fn log(&self) -> Made<String> {
        let log = std::fs::read(self.containerd.path("kubelet.log"))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The messages of its events with this reason, without numbers, which differ between nodes.
    pub fn events(&self, reason: &str) -> Made<BTreeSet<String>> {
        let log = self.log()?;
        let reason = format!("reason=\"{reason}\"");
        let of_reason = log
            .lines()
            .filter(|line| line.contains("\"Event occurred\"") && line.contains(&reason));
        let messages = of_reason.filter_map(|line| Some(line.split_once("message=")?.1));
        let without_numbers = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        Ok(messages.map(without_numbers).collect())
    }

    /// The last that the kubelet said of its collections.
    fn said(&self) -> Made<String> {
        let log = self.log()?;
        let of_collections = |line: &&str| {
            let words = ["arbage", "_gc", "evict", "disk"];
            words.iter().any(|word| line.contains(word))
        };
        let lines: Vec<&str> = log.lines().filter(of_collections).collect();
        Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
    }

    /// Makes a static pod, or changes it.
    pub fn pod(&self, name: &str, uid: &str, restart: &str, args: &[&str]) -> Made<()> {
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": uid},
            "spec": {
                "hostNetwork": true,
                "restartPolicy": restart,
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "main",
                    "image": "crigc.test/app:1",
                    "imagePullPolicy": "Never",
                    "args": args,
                }],
            },
        });
        // By a rename: the kubelet never reads half a file.
        let made = self.containerd.path(&format!("{name}.new"));
        std::fs::write(&made, serde_json::to_vec(&manifest)?)?;
        std::fs::rename(made, self.manifest(name))?;
        Ok(())
    }

    /// Deletes a static pod.
    pub fn delete_pod(&self, name: &str) -> Made<()> {
        Ok(std::fs::remove_file(self.manifest(name))?)
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.containerd.path(&format!("manifests/{name}.json"))
    }

    /// The body of an answer of the kubelet's read-only port.
    fn get(&self, path: &str) -> Made<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: node\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.lines().next().unwrap_or_default();
        if !status.contains(" 200 ") {
            return Err(format!("{path}: {status}").into());
        }
        Ok(body.to_owned())
    }

    /// The kubelet's metrics of which the name and the labels begin so, by name and labels.
    pub fn metrics(&self, begin: &str) -> Made<BTreeMap<String, f64>> {
        let text = self.get("/metrics")?;
        let mut found = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with(begin)) {
            if let Some((name, value)) = line.rsplit_once(' ') {
                found.insert(name.to_owned(), value.parse()?);
            }
        }
        Ok(found)
    }

    /// What the kubelet's process uses now.
    pub fn figures(&self) -> Made<Figures> {
        let id = self.kubelet.as_ref().ok_or("no kubelet runs")?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let number = |name: &str| -> Made<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or("not in the status")?.parse()?)
        };
        Ok(Figures {
            memory: number("VmRSS:")?,
            threads: number("Threads:")?,
            descriptors: std::fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64,
        })
    }

    /// What is on the node.
    pub fn left(&self) -> Made<Left> {
        let cri = &self.containerd.cri;
        let mut left = BTreeSet::new();
        let mut names = BTreeMap::new();
        for sandbox in cri.list_pod_sandbox(Default::default())?.items {
            let of = sandbox.metadata.unwrap_or_default();
            let state = proto::PodSandboxState::try_from(sandbox.state)?;
            let name = text(&of.name);
            left.insert(format!(
                "sandbox {name} {} {}",
                of.attempt,
                state.as_str_name()
            ));
            names.insert(sandbox.id, name);
        }
        for container in cri.list_containers(Default::default())?.containers {
            let of = container.metadata.unwrap_or_default();
            let state = proto::ContainerState::try_from(container.state)?;
            let pod = names.get(&container.pod_sandbox_id);
            let pod = pod.map_or("?", String::as_str);
            left.insert(format!(
                "container {pod}/{} {} {}",
                text(&of.name),
                of.attempt,
                state.as_str_name()
            ));
        }
        left.extend(cri.tags()?.into_iter().map(|tag| format!("image {tag}")));
        let pods = self.containerd.path("pods");
        for pod in std::fs::read_dir(&pods)? {
            let pod = pod?;
            let name = pod.file_name().to_string_lossy().into_owned();
            left.insert(format!("logs {name}"));
            // A directory may go while it is read.
            for container in std::fs::read_dir(pod.path()).into_iter().flatten() {
                let container = container?;
                let of = container.file_name().to_string_lossy().into_owned();
                for log in std::fs::read_dir(container.path()).into_iter().flatten() {
                    left.insert(format!("log {name}/{of}/{}", log?.file_name().display()));
                }
            }
        }
        for link in std::fs::read_dir(self.containerd.path("links"))? {
            let name = link?.file_name().to_string_lossy().into_owned();
            // Behind the last `-` is the container's ID.
            let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
            left.insert(format!("link {name}"));
        }
        Ok(Left(left))
    }

    /// Waits until what is left is as wanted, at most until then.
    pub fn wait_until(
        &self,
        end: Instant,
        what: &str,
        is_so: impl Fn(&Left) -> bool,
    ) -> Made<Left> {
        loop {
            let left = self.left()?;
            if is_so(&left) {
                return Ok(left);
            }
            if Instant::now() > end {
                let program = self.program.display();
                let said = self.said()?;
                return Err(format!("{program}: not {what}: {left:#?}\n{said}").into());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end_kubelet();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why no kubelets can run here, if so.
pub fn missing() -> Option<&'static str> {
    let has = crate::has("unshare");
    filesystem::missing().or_else(|| (!has).then_some("unshare is not installed"))
}

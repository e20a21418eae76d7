//! Programs that tests start, and what is done with any real container runtime.

use crisim::client::Cri;
use crisim::proto;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What was made for a test, or why it could not be.
pub type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// What a command prints; an error if it fails.
pub fn output(command: &mut Command) -> Made<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks until there is an answer, for at most half a minute.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Removes all pods, as well as that is possible.
pub fn remove_pods(cri: &Cri) {
    for id in cri.sandboxes().unwrap_or_default() {
        // A file that cannot be removed is left until the folder is removed.
        let _ = cri.stop_pod_sandbox(proto::StopPodSandboxRequest {
            pod_sandbox_id: id.clone().into(),
        });
        let _ = cri.remove_pod_sandbox(proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        });
    }
}

/// Starts a runtime with this socket, which writes to `log`, and waits until it answers.
pub(crate) fn start_runtime(
    command: &mut Command,
    log: &Path,
    socket: &Path,
) -> Made<(Child, Cri)> {
    let written = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(written.try_clone()?)
        .stderr(written)
        .spawn()?;
    let answer = wait_for(|| {
        let cri = Cri::connect(socket).ok();
        cri.filter(|cri| cri.status(Default::default()).is_ok())
    });
    if let Some(cri) = answer {
        return Ok((child, cri));
    }
    child.kill()?;
    child.wait()?;
    let log = std::fs::read_to_string(log)?;
    Err(format!("{command:?} does not answer: {log}").into())
}

/// Ends a program: by SIGTERM, and if that does not help in 20 seconds, by SIGKILL.
pub fn end(child: &mut Child) {
    // The ID of one that has ended may be that of another program.
    if let Ok(Some(_)) = child.try_wait() {
        return;
    }
    let id = i32::try_from(child.id()).ok();
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // It may end by itself.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    let end = Instant::now() + Duration::from_secs(20);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that ends when this is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

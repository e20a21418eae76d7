//! Runs the kubelet's own node tests with one kubelet, on a node that `ffi-tests/e2e-node/node.sh` has made. It adds what the tests expect of a
//! machine: a filesystem for the kubelet, its logs and its images, a containerd and a network for pods, a registry that has every image, and
//! what stands in for systemd.
//!
//!     kubelet-specs TESTS KUBELET FOCUS SKIP MINUTES FOLDER
//!
//! What came of each spec is in FOLDER/report.json, and the logs are beside it.

use ffi_tests::containerd::Containerd;
use ffi_tests::filesystem::Filesystem;
use ffi_tests::process::{self, Made, output};
use ffi_tests::registry::{Images, serve};
use ffi_tests::root;
use serde_json::json;
use std::fs::{File, create_dir_all, write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two specs of eviction write 4 GiB, two make 110,000 files.
const DISK_MEBIBYTES: u64 = 8 << 10;

/// The one image that the tests want by a digest. It is pinned: no registry but its own has it again.
const BY_DIGEST: &str = "registry.k8s.io/e2e-test-images/busybox@sha256:a9155b13325b2abef48e71de77bb8ac015412a566829f621d06bfae5c699b1b9";

/// How much longer than the specs may take may the start and the end take.
const AROUND: Duration = Duration::from_secs(600);

fn main() -> Made<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tests, kubelet, focus, skip, minutes, folder] = arguments.as_slice() else {
        return Err("usage: kubelet-specs TESTS KUBELET FOCUS SKIP MINUTES FOLDER".into());
    };
    let (minutes, folder) = (minutes.parse()?, Path::new(folder));
    create_dir_all(folder)?;

    let work = tempfile::tempdir()?;
    let filesystem = Filesystem::make(DISK_MEBIBYTES, &[])?;
    for (name, at) in [("kubelet", "/var/lib/kubelet"), ("log", "/var/log")] {
        bind(&filesystem.path().join(name), Path::new(at))?;
    }
    let images = Arc::new(Images::new(work.path())?);
    let containerd = containerd(&filesystem, work.path(), serve(&images)?)?;
    images.make("crigc.test/busybox:1")?;
    containerd.import_made(&images.layout(), "crigc.test/busybox:1")?;
    containerd.ctr(&["images", "tag", "crigc.test/busybox:1", BY_DIGEST])?;
    containerd.ctr(&[
        "images",
        "label",
        BY_DIGEST,
        "io.cri-containerd.pinned=pinned",
    ])?;

    // The tests take the kubelet that lies beside them.
    symlink(tests, work.path().join("e2e_node.test"))?;
    symlink(kubelet, work.path().join("kubelet"))?;
    let mut specs = Command::new(work.path().join("e2e_node.test"));
    specs
        .args(["--node-name=node", "--prepull-images=true"])
        .arg(format!(
            "--container-runtime-endpoint={}",
            containerd.endpoint()
        ))
        .arg(format!(
            "--kubelet-config-file={}",
            configuration(work.path())?.display()
        ))
        .arg(format!(
            "--system-spec-file={}",
            validation(work.path())?.display()
        ))
        .arg(format!("--report-dir={}", folder.display()))
        .arg(format!(
            "--ginkgo.json-report={}",
            folder.join("report.json").display()
        ))
        .arg(format!("--ginkgo.timeout={minutes}m"))
        .arg(format!("--ginkgo.focus={focus}"))
        .arg(format!("--ginkgo.skip={skip}"))
        // The same order with each kubelet.
        .args(["--ginkgo.seed=1", "--ginkgo.no-color", "--ginkgo.v"])
        .current_dir(work.path());
    stand_in_for_systemd(work.path(), &mut specs)?;
    let ended = run(&mut specs, &folder.join("specs.log"), minutes);
    std::fs::copy(containerd.path("log"), folder.join("containerd.log"))?;
    ended
}

/// Mounts a new folder at a new place.
fn bind(folder: &Path, at: &Path) -> Made<()> {
    create_dir_all(folder)?;
    create_dir_all(at)?;
    output(Command::new("mount").arg("--bind").arg(folder).arg(at))?;
    Ok(())
}

/// Starts a containerd that pulls all images from the registry on this port, and has a network for pods.
fn containerd(filesystem: &Filesystem, work: &Path, port: u16) -> Made<Containerd> {
    let hosts = work.join("certs.d/_default");
    create_dir_all(&hosts)?;
    let host =
        format!("[host.\"http://127.0.0.1:{port}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    write(hosts.join("hosts.toml"), host)?;
    let registry = format!(
        "[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"{}\"\n",
        work.join("certs.d").display()
    );
    let containerd = Containerd::start_with(&filesystem.path(), "overlayfs", &registry)?;
    let network = containerd.path("cni");
    create_dir_all(&network)?;
    for plugin in ["bridge", "host-local", "loopback"] {
        let installed = Path::new("/usr/lib/cni").join(plugin);
        if !network.join(plugin).exists() {
            symlink(installed, network.join(plugin))?;
        }
    }
    let subnet = json!([[{"subnet": "10.100.0.0/24"}]]);
    let bridge = json!({
        "type": "bridge",
        "bridge": "pods",
        "isGateway": true,
        "ipam": {"type": "host-local", "ranges": subnet, "routes": [{"dst": "0.0.0.0/0"}]},
    });
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]});
    write(network.join("pods.conflist"), list.to_string())?;
    Ok(containerd)
}

/// The kubelet's configuration: what the tests' own CI sets, and what this machine needs.
fn configuration(work: &Path) -> Made<PathBuf> {
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "podCIDR": "10.100.0.0/24",
        "volumeStatsAggPeriod": "10s",
        "fileCheckFrequency": "10s",
        "evictionPressureTransitionPeriod": "30s",
        "evictionHard": {"memory.available": "250Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"},
        "evictionMinimumReclaim": {"nodefs.available": "5%", "nodefs.inodesFree": "5%"},
        "serializeImagePulls": false,
        "failCgroupV1": false,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "resolvConf": "",
    });
    let file = work.join("configuration.json");
    write(&file, serde_json::to_vec_pretty(&configuration)?)?;
    Ok(file)
}

/// What the machine is tested for before the specs: not how its kernel was built, which a container need not see.
fn validation(work: &Path) -> Made<PathBuf> {
    let file = work.join("validation.json");
    write(&file, json!({"os": "Linux"}).to_string())?;
    Ok(file)
}

/// Puts commands before those of PATH by which the tests start, end and restart the kubelet.
fn stand_in_for_systemd(work: &Path, specs: &mut Command) -> Made<()> {
    let (commands, units) = (work.join("commands"), work.join("units"));
    create_dir_all(&commands)?;
    create_dir_all(&units)?;
    for command in ["sudo", "systemctl", "systemd-run"] {
        symlink(
            root().join("ffi-tests/e2e-node/units"),
            commands.join(command),
        )?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    specs.env("PATH", format!("{}:{path}", commands.display()));
    specs.env("UNITS", units);
    Ok(())
}

/// Runs the specs; whether they succeed is in the report alone.
fn run(specs: &mut Command, log: &Path, minutes: u64) -> Made<()> {
    let log = File::create(log)?;
    let mut child = process::Running(specs.stdout(log.try_clone()?).stderr(log).spawn()?);
    let end = Instant::now() + Duration::from_secs(60 * minutes) + AROUND;
    while child.0.try_wait()?.is_none() {
        if Instant::now() > end {
            return Err(format!("not done after {minutes} minutes and {AROUND:?} more").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

//! The one table of keys: their names, types, defaults, ranges and descriptions. The typed [`Config`], `gc_config_set` and
//! `gc_config_get`, the checks, the messages, the help texts and `docs/configuration.md` are made from it.

use super::values::{self, Shape};
use super::{Accounting, AgeFrom, Endpoint};
use std::time::Duration;

/// One key.
pub struct Key {
    /// The name: the kubelet's, if the kubelet has such a flag.
    pub name: &'static str,
    /// The default, written as on a command line.
    pub default: &'static str,
    /// The rule that it belongs to (docs/rules.md).
    pub rule: &'static str,
    /// What it does.
    pub doc: &'static str,
    empty: &'static str,
    range: fn() -> String,
    set: fn(&mut Config, &str) -> Result<String, String>,
}

/// Makes [`Config`] and [`KEYS`] from one list, so that each field has a key and each key is read as the type of its field. A function
/// cannot declare a type.
macro_rules! keys {
    ($($field:ident: $type:ty {
        name: $name:literal,
        takes: $shape:expr,
        default: $default:literal,
        rule: $rule:literal,
        doc: $doc:literal,
    })*) => {
        /// The values of all keys.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $doc] pub $field: $type,)*
        }

        impl Default for Config {
            fn default() -> Config {
                Config {
                    // A test sets each key to its default.
                    $($field: ($shape.read)($default).expect($name),)*
                }
            }
        }

        /// All keys.
        pub static KEYS: &[Key] = &[$(Key {
            name: $name,
            default: $default,
            rule: $rule,
            doc: $doc,
            empty: $shape.empty,
            range: $shape.range,
            set: |config, text| {
                const SHAPE: Shape<$type> = $shape;
                config.$field = (SHAPE.read)(text)?;
                Ok((SHAPE.shown)(&config.$field, text))
            },
        },)*];
    };
}

keys! {
    container_runtime_endpoint: Endpoint {
        name: "container-runtime-endpoint",
        takes: values::ENDPOINT,
        default: "unix:///run/containerd/containerd.sock",
        rule: "S0.11",
        doc: "The unix socket of the runtime's CRI RuntimeService. If the host connects to the runtime by itself, any name of that runtime: it stands in messages.",
    }
    image_service_endpoint: Option<Endpoint> {
        name: "image-service-endpoint",
        takes: values::OWN_ENDPOINT,
        default: "",
        rule: "S0.11",
        doc: "The unix socket of the CRI ImageService, or if the host connects, any name: the records in image-records-file belong to it. Empty: the same as container-runtime-endpoint.",
    }
    runtime_request_timeout: Duration {
        name: "runtime-request-timeout",
        takes: values::DURATION_ABOVE_ZERO,
        default: "2m0s",
        rule: "S6.5",
        doc: "How long one request to the runtime may take, a streamed list to its end. StopContainer may take the container's grace period longer.",
    }
    pass_timeout: Option<Duration> {
        name: "pass-timeout",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S6.5",
        doc: "How long a whole pass may take. 0s: no limit.",
    }
    max_parallel_removals: usize {
        name: "max-parallel-removals",
        takes: values::PARALLEL,
        default: "16",
        rule: "S2.7",
        doc: "The most containers that are removed at once; of sandboxes half as many, but at least 1. Up to this number a pass removes as many at once as pay: an engine begins with one at a time, tries more, and keeps what removes most in a second, unless each call then only takes longer. If even one at a time takes more than four times as long as usual, crigc pauses after each removal, at most 1 s. With 1, objects are removed one after another, as by the kubelet.",
    }
    max_parallel_image_removals: usize {
        name: "max-parallel-image-removals",
        takes: values::PARALLEL,
        default: "1",
        rule: "S2.7",
        doc: "The most images that are removed at once, if as many pay. Runtimes hold locks while they remove images, and pods that start wait for these locks.",
    }
    hold_file: Option<String> {
        name: "hold-file",
        takes: values::FILE,
        default: "",
        rule: "S0.7",
        doc: "While this file exists, passes decide and report, but remove nothing. They check before each removal. If crigc cannot find out whether the file exists, nothing is removed either. With host-root it is a path of the host, and the directory that it is in has to exist there.",
    }
    evidence_max_age: Duration {
        name: "evidence-max-age",
        takes: values::DURATION_ABOVE_ZERO,
        default: "10s",
        rule: "S0.3",
        doc: "How old the host's answer about a pod, and the lists of images and their users, may be when an object is removed because of them. If they are older, they are requested again before the removal. The age of lists that take longer than this to read counts from their end.",
    }
    dry_run: bool {
        name: "dry-run",
        takes: values::BOOL,
        default: "false",
        rule: "S0.5",
        doc: "Every pass, periodic ones too, decides and reports, but removes nothing.",
    }
    maximum_dead_containers_per_container: Option<usize> {
        name: "maximum-dead-containers-per-container",
        takes: values::LIMIT,
        default: "1",
        rule: "S1.5",
        doc: "How many dead containers of one name in one pod are kept, the newest first. If above 0, the last one that ran and the one with the highest attempt are kept as well. Negative: no limit.",
    }
    maximum_dead_containers: Option<usize> {
        name: "maximum-dead-containers",
        takes: values::LIMIT,
        default: "-1",
        rule: "S1.6",
        doc: "How many dead containers are kept on the whole node. Negative: no limit.",
    }
    minimum_container_ttl_duration: Duration {
        name: "minimum-container-ttl-duration",
        takes: values::DURATION,
        default: "0s",
        rule: "S1.2",
        doc: "How old a dead container has to be before it may be removed; container-age-from says how its age is counted.",
    }
    container_age_from: AgeFrom {
        name: "container-age-from",
        takes: values::AGE_FROM,
        default: "created",
        rule: "S1.2",
        doc: "Where a container's age begins: at its creation, as in the kubelet's code, or at its end, as in the kubelet's manual (one more request for each dead container).",
    }
    maximum_dead_container_age: Option<Duration> {
        name: "maximum-dead-container-age",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S1.9",
        doc: "Dead containers older than this are removed in addition; container-age-from says how their age is counted. If the pod has ended (the host reports it as runtime-removable), all of them. In other pods the newest dead container of each name is kept, because the kubelet would start it again, and so are the last one that ran and the one with the highest attempt. 0s: no limit.",
    }
    max_pod_share: u8 {
        name: "max-pod-share",
        takes: values::PERCENT,
        default: "100",
        rule: "S0.12",
        doc: "A brake, in percent. If more than this share of the pods, and at least 10, would lose something because they are gone, the pass removes nothing because a pod is gone, and sends the event PodShareExceeded; limits still apply. It counts the pods that have an entry in pod-logs-dir, and those that would lose something. The next pass counts again. A node that was down for a day has many gone pods, and they may all be removed: raise the share until a pass has run. 100: no brake.",
    }
    image_gc_high_threshold: u8 {
        name: "image-gc-high-threshold",
        takes: values::PERCENT,
        default: "85",
        rule: "S5.6",
        doc: "Images are removed if the image filesystem is at least this full, in percent. 100 switches periodic image passes off, unless image-maximum-gc-age or image-gc-min-available is set; with image-gc-min-available that key alone says when space is short.",
    }
    image_gc_low_threshold: u8 {
        name: "image-gc-low-threshold",
        takes: values::PERCENT,
        default: "80",
        rule: "S5.6",
        doc: "Images are then removed until the image filesystem is only this full, in percent. Has to be below image-gc-high-threshold.",
    }
    image_gc_min_available: Option<u64> {
        name: "image-gc-min-available",
        takes: values::BYTES,
        default: "0",
        rule: "S5.6",
        doc: "Images are also removed if fewer bytes than this are available on the image filesystem, until so many are. If the usage has reached image-gc-high-threshold as well, they are removed until both goals are reached. The value is given back as a number of bytes. If the whole filesystem is smaller, the pass fails, and removes nothing for this key. 0: off.",
    }
    image_gc_inode_thresholds: bool {
        name: "image-gc-inode-thresholds",
        takes: values::BOOL,
        default: "false",
        rule: "S5.11",
        doc: "image-gc-high-threshold and image-gc-low-threshold also hold for the inodes of the image filesystem. Nobody knows how many inodes an image frees, so crigc reads the figures of the filesystem after each removal, as with image-free-accounting measured. A dry run lists all images that may be removed. A filesystem that reports 0 inodes has no such limit.",
    }
    image_free_accounting: Accounting {
        name: "image-free-accounting",
        takes: values::ACCOUNTING,
        default: "reported",
        rule: "S5.8",
        doc: "How freed space is counted. reported: by the sizes that the runtime reports, as by the kubelet; layers that images share count for each of them, so too little may be freed. measured: by the figures of the image filesystem, which has up to 2 s to show each removal; images are removed until the goal really holds. After five removals in a row that showed less than a quarter of the reported size, the pass removes no more (no-effect).",
    }
    minimum_image_ttl_duration: Duration {
        name: "minimum-image-ttl-duration",
        takes: values::DURATION,
        default: "2m0s",
        rule: "S5.7",
        doc: "How long an image is protected after crigc first saw it. A clock that leaps ahead does not make it older.",
    }
    image_maximum_gc_age: Option<Duration> {
        name: "image-maximum-gc-age",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S5.5",
        doc: "How long an image may be unused before it is removed, however empty the disk is. Time without an engine, and time in which the machine slept, does not count. 0s: no limit. If image-gc-period is longer than a quarter of this, the periodic thread also reads and records the lists of images between passes, but not more often than every 15 s. If such an image cannot be removed, or is still listed after its removal, the pass removes no images for space. If set, it has to be above minimum-image-ttl-duration.",
    }
    image_gc_exempt: Vec<String> {
        name: "image-gc-exempt",
        takes: values::PATTERNS,
        default: "",
        rule: "S5.3",
        doc: "Images that are never removed: patterns, separated by commas. A pattern has to match a whole tag, digest or ID as the runtime gives it; `*` matches any number of characters, `?` exactly one.",
    }
    pod_infra_container_image: Option<String> {
        name: "pod-infra-container-image",
        takes: values::IMAGE,
        default: "k8s.gcr.io/pause:3.6",
        rule: "S5.3",
        doc: "The image that sandboxes are made from. It is never removed, nor is the sandbox image that the runtime itself is configured with.",
    }
    image_records_file: Option<String> {
        name: "image-records-file",
        takes: values::FILE,
        default: "",
        rule: "S5.1",
        doc: "The file that records when each image was first seen and last used, so that this is still known after a restart of the host. One engine at a time holds it, by a lock on the file of this name with `.lock` at its end. An engine with dry-run only reads it, and neither locks nor needs it. Empty: no file.",
    }
    pod_logs_dir: Option<String> {
        name: "pod-logs-dir",
        takes: values::DIRECTORY,
        default: "/var/log/pods",
        rule: "S2.4, S4.1",
        doc: "The directory of the logs of pods. Empty: logs of pods are not removed.",
    }
    container_logs_dir: Option<String> {
        name: "container-logs-dir",
        takes: values::DIRECTORY,
        default: "/var/log/containers",
        rule: "S2.4, S4.2",
        doc: "The directory of the links to the logs of containers. Empty: these links are not removed.",
    }
    host_root: Option<String> {
        name: "host-root",
        takes: values::DIRECTORY,
        default: "",
        rule: "S5.11",
        doc: "The directory in which the host's root is mounted, for an agent in a container. The paths that the runtime names, pod-logs-dir, container-logs-dir and hold-file are then paths of the host, below this directory, and the links there lead where they lead on the host. Reports and messages have the host's paths. image-records-file and the endpoints are crigc's own paths: they are not below it. What is mounted on the host has to be mounted there, too, such as the image filesystem, and what holds the logs and hold-file. Needs openat2 (Linux 5.6) and /proc: without them, or if the directory does not exist, passes fail. Empty: crigc runs on the host itself.",
    }
    minimum_pod_log_ttl_duration: Option<Duration> {
        name: "minimum-pod-log-ttl-duration",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S4.1",
        doc: "How old every file in the log directory of a pod that is gone has to be before the directory is removed, so that a log shipper has the time to read them. A container takes its logs along when it is removed: set minimum-container-ttl-duration, and container-age-from to finished, as well. It has no effect beside a kubelet that still collects by itself, because that removes these directories. 0s: no minimum.",
    }
    orphan_log_ttl_duration: Option<Duration> {
        name: "orphan-log-ttl-duration",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S4.3",
        doc: "How old a log file has to be that belongs to no container any more before it is removed from the log directory of a pod that exists. Only files with the names that a kubelet makes (`1.log`, `1.log.20060102-150405.gz`), and in the directory of each container those with the highest number are kept. 0s: such files are removed only with their pod.",
    }
    container_gc_period: Option<Duration> {
        name: "container-gc-period",
        takes: values::OPTIONAL_DURATION,
        default: "1m0s",
        rule: "S6.1",
        doc: "The time from the end of a periodic container pass to the start of the next one. 0s: no periodic container passes.",
    }
    image_gc_period: Option<Duration> {
        name: "image-gc-period",
        takes: values::OPTIONAL_DURATION,
        default: "5m0s",
        rule: "S6.1",
        doc: "The time from the end of a periodic image pass to the start of the next one. 0s: no periodic image passes.",
    }
    gc_period_jitter: u8 {
        name: "gc-period-jitter",
        takes: values::PERCENT,
        default: "0",
        rule: "S6.1",
        doc: "Each period is longer by a random part of up to this percentage of container-gc-period or image-gc-period, so that the nodes of a cluster do not all collect at once. The first passes begin at once all the same. The random numbers are those of Rust's hash tables: each periodic thread gets keys for them from the operating system, and they do not depend on the clock.",
    }
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// Reads a value into its field, and returns the text that [`super::Settings::get`] gives back for it. The error says what is wrong
    /// with the value.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<String, String> {
        match text.chars().find(|c| c.is_control()) {
            Some(c) => Err(format!(
                "it holds the control character {}",
                c.escape_default()
            )),
            None => (self.set)(config, text),
        }
    }

    /// The values that it takes, in words.
    pub fn range(&self) -> String {
        (self.range)()
    }

    /// The text of `gc_config_key_help`.
    pub fn help(&self) -> String {
        let default = self.default_text();
        format!("{} Takes {}. Default: {default}.", self.doc, self.range())
    }

    /// The default, in words if it is empty.
    pub fn default_text(&self) -> String {
        match self.default {
            "" => self.empty.to_owned(),
            default => format!("`{default}`"),
        }
    }
}

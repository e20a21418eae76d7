//! The one table of keys: names, types, defaults, ranges, what they do. The typed [`Config`], `gc_config_set` and `gc_config_get`,
//! the checks, the messages, the help and `docs/configuration.md` come out of it.

use super::values::{self, Shape};
use super::{AgeFrom, Endpoint};
use std::time::Duration;

/// One key.
pub struct Key {
    /// The kubelet's name of it.
    pub name: &'static str,
    /// As on a command line.
    pub default: &'static str,
    /// The rule of the semantics that it belongs to.
    pub rule: &'static str,
    /// What it does.
    pub doc: &'static str,
    empty: &'static str,
    range: fn() -> String,
    set: fn(&mut Config, &str) -> Result<String, String>,
}

/// Makes [`Config`] and [`KEYS`] of one list, so that a field cannot be without its key, or a key read as another type than its field
/// has. A function cannot declare a type.
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
        doc: "The unix socket of the runtime's CRI RuntimeService.",
    }
    image_service_endpoint: Option<Endpoint> {
        name: "image-service-endpoint",
        takes: values::OWN_ENDPOINT,
        default: "",
        rule: "S0.11",
        doc: "The unix socket of the CRI ImageService. Empty: the same as container-runtime-endpoint.",
    }
    runtime_request_timeout: Duration {
        name: "runtime-request-timeout",
        takes: values::DURATION_ABOVE_ZERO,
        default: "2m0s",
        rule: "S6.5",
        doc: "How long each call of the runtime may take, a stream to its end. StopContainer gets the grace period on top.",
    }
    pass_timeout: Option<Duration> {
        name: "pass-timeout",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S6.5",
        doc: "How long a whole pass may take. 0s: as long as it takes.",
    }
    max_parallel_removals: usize {
        name: "max-parallel-removals",
        takes: values::PARALLEL,
        default: "1",
        rule: "S2.7",
        doc: "How many containers are removed at once; half as many sandboxes, at least 1. 1: one after another, as the kubelet does, and as pods wait least (docs/pod-starts.md); more end a pass earlier on a node that is far behind.",
    }
    removal_rest_percent: u32 {
        name: "removal-rest-percent",
        takes: values::REST,
        default: "200",
        rule: "S2.7",
        doc: "A removal of a container or sandbox that took clearly longer than the quickest tenth of the last 64 is followed by a rest: that many percent of what it took longer, at most 1 s. Runtimes remove slower while pods start, and pods start slower while they remove (docs/pod-starts.md). With 200 removals take at most three times as long as without rests. No rests: with 0, where all take equally long, in dry runs, in passes with GC_ALL_UNUSED, and while a call waits for its turn.",
    }
    max_parallel_image_removals: usize {
        name: "max-parallel-image-removals",
        takes: values::PARALLEL,
        default: "1",
        rule: "S2.7",
        doc: "How many images are removed at once. Runtimes hold locks while they delete images, and pods start behind them.",
    }
    hold_file: Option<String> {
        name: "hold-file",
        takes: values::FILE,
        default: "",
        rule: "S0.7",
        doc: "While this file exists, passes look, decide and report, and remove nothing; they look for it before each removal. Where nobody can tell whether it exists, nothing is removed either.",
    }
    evidence_max_age: Duration {
        name: "evidence-max-age",
        takes: values::DURATION_ABOVE_ZERO,
        default: "10s",
        rule: "S0.3",
        doc: "How old the host's answer about a pod, or the look at images and who uses them, may be when a removal rests on it; older, and it is asked again. The age of a look that takes longer than this counts from its end.",
    }
    dry_run: bool {
        name: "dry-run",
        takes: values::BOOL,
        default: "false",
        rule: "S0.5",
        doc: "Every pass, the periodic ones too, decides and reports and removes nothing.",
    }
    maximum_dead_containers_per_container: Option<usize> {
        name: "maximum-dead-containers-per-container",
        takes: values::LIMIT,
        default: "1",
        rule: "S1.5",
        doc: "How many dead containers of one name in one pod stay, the newest; above 0 also the last one that ran, and the one with the highest attempt. Negative: no limit.",
    }
    maximum_dead_containers: Option<usize> {
        name: "maximum-dead-containers",
        takes: values::LIMIT,
        default: "-1",
        rule: "S1.6",
        doc: "How many dead containers stay on the whole node. Negative: no limit.",
    }
    minimum_container_ttl_duration: Duration {
        name: "minimum-container-ttl-duration",
        takes: values::DURATION,
        default: "0s",
        rule: "S1.2",
        doc: "How old a dead container has to be before it may go, counted as container-age-from says.",
    }
    container_age_from: AgeFrom {
        name: "container-age-from",
        takes: values::AGE_FROM,
        default: "created",
        rule: "S1.2",
        doc: "What a container's age counts from: its creation, as in the kubelet's code, or its end, as in the kubelet's manual (one more call for each dead container).",
    }
    image_gc_high_threshold: u8 {
        name: "image-gc-high-threshold",
        takes: values::PERCENT,
        default: "85",
        rule: "S5.6",
        doc: "From how full an image filesystem on, in percent, images are removed. 100 switches the periodic image collection off, unless image-maximum-gc-age is set.",
    }
    image_gc_low_threshold: u8 {
        name: "image-gc-low-threshold",
        takes: values::PERCENT,
        default: "80",
        rule: "S5.6",
        doc: "Down to how full, in percent, images are removed then. Below image-gc-high-threshold.",
    }
    minimum_image_ttl_duration: Duration {
        name: "minimum-image-ttl-duration",
        takes: values::DURATION,
        default: "2m0s",
        rule: "S5.7",
        doc: "How long an image is protected after it was first seen; a clock that leaps ahead makes it no older.",
    }
    image_maximum_gc_age: Option<Duration> {
        name: "image-maximum-gc-age",
        takes: values::OPTIONAL_DURATION,
        default: "0s",
        rule: "S5.5",
        doc: "For how long an image may be unused before it goes, however empty the disk is; time without an engine, and time in which the machine slept, does not count. 0s: for ever. Periodic passes that are further apart than a quarter of it are joined by looks that only record, at most every 15 s. What is still listed after its removal, or could not be removed, keeps the pass from going on to space. When set, above minimum-image-ttl-duration.",
    }
    image_gc_exempt: Vec<String> {
        name: "image-gc-exempt",
        takes: values::PATTERNS,
        default: "",
        rule: "S5.3",
        doc: "Images that are never removed: patterns, comma-separated, over whole tags, digests or IDs as the runtime gives them; `*` stands for any run of characters, `?` for one.",
    }
    pod_infra_container_image: Option<String> {
        name: "pod-infra-container-image",
        takes: values::IMAGE,
        default: "k8s.gcr.io/pause:3.6",
        rule: "S5.3",
        doc: "The image that sandboxes are made from; never removed. What the runtime itself uses is protected as well.",
    }
    image_records_file: Option<String> {
        name: "image-records-file",
        takes: values::FILE,
        default: "",
        rule: "S5.1",
        doc: "Where it is kept when each image was first seen and last used, so that a restart of the host does not forget it; one engine at a time holds it, by a lock on the file of that name with `.lock` at its end. Empty: nowhere.",
    }
    pod_logs_dir: Option<String> {
        name: "pod-logs-dir",
        takes: values::DIRECTORY,
        default: "/var/log/pods",
        rule: "S2.4, S4.1",
        doc: "Where the logs of pods are. Empty: those logs are left alone.",
    }
    container_logs_dir: Option<String> {
        name: "container-logs-dir",
        takes: values::DIRECTORY,
        default: "/var/log/containers",
        rule: "S2.4, S4.2",
        doc: "Where the links to the logs of containers are. Empty: those links are left alone.",
    }
    container_gc_period: Duration {
        name: "container-gc-period",
        takes: values::DURATION_ABOVE_ZERO,
        default: "1m0s",
        rule: "S6.1",
        doc: "How long after a periodic container pass the next one begins.",
    }
    image_gc_period: Duration {
        name: "image-gc-period",
        takes: values::DURATION_ABOVE_ZERO,
        default: "5m0s",
        rule: "S6.1",
        doc: "How long after a periodic image pass the next one begins.",
    }
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// Reads a value into its field; the error says what is wrong with it. The text that is given back for it.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<String, String> {
        match text.chars().find(|c| c.is_control()) {
            Some(c) => Err(format!(
                "it holds the control character {}",
                c.escape_default()
            )),
            None => (self.set)(config, text),
        }
    }

    /// What values it takes, in words.
    pub fn range(&self) -> String {
        (self.range)()
    }

    /// What it does, its default and range.
    pub fn help(&self) -> String {
        let default = self.default_text();
        format!("{} Takes {}. Default: {default}.", self.doc, self.range())
    }

    /// The default, in words where it is empty.
    pub fn default_text(&self) -> String {
        match self.default {
            "" => self.empty.to_owned(),
            default => format!("`{default}`"),
        }
    }
}

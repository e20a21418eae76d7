//! The one table of keys: names, defaults, ranges, what they do. `gc_config_set` and `gc_config_get`, the checks, the
//! messages, the help and `docs/configuration.md` come out of it.

use super::values::Value;
use super::{AgeFrom, Config};

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `unix://PATH` or PATH.
    Endpoint,
    /// The same, or empty.
    OptionalEndpoint,
    /// As Go writes it; the least.
    Duration {
        /// Zero is fine.
        zero: bool,
    },
    /// A whole number in this range.
    Number {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An absolute path, or empty.
    Directory,
    /// The same of a file.
    File,
    /// Patterns, comma-separated.
    Patterns,
    /// The name of an image, or empty.
    Image,
}

/// One key.
pub struct Key {
    /// The kubelet's name of it.
    pub name: &'static str,
    /// As on a command line.
    pub default: &'static str,
    /// What values it takes.
    pub shape: Shape,
    /// The rule of the semantics that it belongs to.
    pub rule: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Puts a value that the shape has accepted into the configuration.
    pub(super) set: fn(&mut Config, Value),
}

const COUNT: Shape = Shape::Number {
    least: 1,
    most: 256,
};
const PERCENT: Shape = Shape::Number {
    least: 0,
    most: 100,
};
const LIMIT: Shape = Shape::Number {
    least: i32::MIN as i64,
    most: i32::MAX as i64,
};

/// All keys.
pub static KEYS: &[Key] = &[
    Key {
        name: "container-runtime-endpoint",
        default: "unix:///run/containerd/containerd.sock",
        shape: Shape::Endpoint,
        rule: "S0.11",
        doc: "The unix socket of the runtime's CRI RuntimeService.",
        set: |c, v| c.container_runtime_endpoint = v.text(),
    },
    Key {
        name: "image-service-endpoint",
        default: "",
        shape: Shape::OptionalEndpoint,
        rule: "S0.11",
        doc: "The unix socket of the CRI ImageService. Empty: the same as container-runtime-endpoint.",
        set: |c, v| c.image_service_endpoint = v.text(),
    },
    Key {
        name: "runtime-request-timeout",
        default: "2m0s",
        shape: Shape::Duration { zero: false },
        rule: "S6.5",
        doc: "How long each call of the runtime may take, a stream to its end. StopContainer gets the grace period on top.",
        set: |c, v| c.runtime_request_timeout = v.duration(),
    },
    Key {
        name: "pass-timeout",
        default: "0s",
        shape: Shape::Duration { zero: true },
        rule: "S6.5",
        doc: "How long a whole pass may take. 0s: as long as it takes.",
        set: |c, v| c.pass_timeout = v.duration(),
    },
    Key {
        name: "max-parallel-removals",
        default: "1",
        shape: COUNT,
        rule: "S2.7",
        doc: "How many containers are removed at once; half as many sandboxes, at least 1. 1: one after another, as the kubelet does, and as pods wait least (docs/pod-starts.md); more end a pass earlier on a node that is far behind.",
        set: |c, v| c.max_parallel_removals = v.count(),
    },
    Key {
        name: "removal-rest-percent",
        default: "200",
        shape: Shape::Number {
            least: 0,
            most: 1000,
        },
        rule: "S2.7",
        doc: "A removal of a container or sandbox that took clearly longer than the quickest tenth of the last 64 is followed by a rest: that many percent of what it took longer, at most 1 s. Runtimes remove slower while pods start, and pods start slower while they remove (docs/pod-starts.md). With 200 removals take at most three times as long as without rests. No rests: with 0, where all take equally long, in dry runs, in passes with GC_ALL_UNUSED, and while a call waits for its turn.",
        set: |c, v| c.removal_rest_percent = v.part(),
    },
    Key {
        name: "max-parallel-image-removals",
        default: "1",
        shape: COUNT,
        rule: "S2.7",
        doc: "How many images are removed at once. Runtimes hold locks while they delete images, and pods start behind them.",
        set: |c, v| c.max_parallel_image_removals = v.count(),
    },
    Key {
        name: "hold-file",
        default: "",
        shape: Shape::File,
        rule: "S0.7",
        doc: "While this file exists, passes look, decide and report, and remove nothing; they look for it before each removal. Where nobody can tell whether it exists, nothing is removed either.",
        set: |c, v| c.hold_file = v.text(),
    },
    Key {
        name: "evidence-max-age",
        default: "10s",
        shape: Shape::Duration { zero: false },
        rule: "S0.3",
        doc: "How old the host's answer about a pod, or the look at images and who uses them, may be when a removal rests on it; older, and it is asked again. The age of a look that takes longer than this counts from its end.",
        set: |c, v| c.evidence_max_age = v.duration(),
    },
    Key {
        name: "dry-run",
        default: "false",
        shape: Shape::Bool,
        rule: "S0.5",
        doc: "Every pass, the periodic ones too, decides and reports and removes nothing.",
        set: |c, v| c.dry_run = v.bool(),
    },
    Key {
        name: "maximum-dead-containers-per-container",
        default: "1",
        shape: LIMIT,
        rule: "S1.5",
        doc: "How many dead containers of one name in one pod stay, the newest; above 0 also the last one that ran, and the one with the highest attempt. Negative: no limit.",
        set: |c, v| c.maximum_dead_containers_per_container = v.number(),
    },
    Key {
        name: "maximum-dead-containers",
        default: "-1",
        shape: LIMIT,
        rule: "S1.6",
        doc: "How many dead containers stay on the whole node. Negative: no limit.",
        set: |c, v| c.maximum_dead_containers = v.number(),
    },
    Key {
        name: "minimum-container-ttl-duration",
        default: "0s",
        shape: Shape::Duration { zero: true },
        rule: "S1.2",
        doc: "How old a dead container has to be before it may go, counted as container-age-from says.",
        set: |c, v| c.minimum_container_ttl_duration = v.duration(),
    },
    Key {
        name: "container-age-from",
        default: "created",
        shape: Shape::Word(&["created", "finished"]),
        rule: "S1.2",
        doc: "What a container's age counts from: its creation, as in the kubelet's code, or its end, as in the kubelet's manual (one more call for each dead container).",
        set: |c, v| {
            c.container_age_from = match v.text().as_str() {
                "finished" => AgeFrom::Finished,
                _ => AgeFrom::Created,
            }
        },
    },
    Key {
        name: "image-gc-high-threshold",
        default: "85",
        shape: PERCENT,
        rule: "S5.6",
        doc: "From how full an image filesystem on, in percent, images are removed. 100 switches the periodic image collection off, unless image-maximum-gc-age is set.",
        set: |c, v| c.image_gc_high_threshold = v.percent(),
    },
    Key {
        name: "image-gc-low-threshold",
        default: "80",
        shape: PERCENT,
        rule: "S5.6",
        doc: "Down to how full, in percent, images are removed then. Below image-gc-high-threshold.",
        set: |c, v| c.image_gc_low_threshold = v.percent(),
    },
    Key {
        name: "minimum-image-ttl-duration",
        default: "2m0s",
        shape: Shape::Duration { zero: true },
        rule: "S5.7",
        doc: "How long an image is protected after it was first seen; a clock that leaps ahead makes it no older.",
        set: |c, v| c.minimum_image_ttl_duration = v.duration(),
    },
    Key {
        name: "image-maximum-gc-age",
        default: "0s",
        shape: Shape::Duration { zero: true },
        rule: "S5.5",
        doc: "For how long an image may be unused before it goes, however empty the disk is; time without an engine, and time in which the machine slept, does not count. 0s: for ever. Periodic passes that are further apart than a quarter of it are joined by looks that only record, at most every 15 s. What is still listed after its removal, or could not be removed, keeps the pass from going on to space. When set, above minimum-image-ttl-duration.",
        set: |c, v| c.image_maximum_gc_age = v.duration(),
    },
    Key {
        name: "image-gc-exempt",
        default: "",
        shape: Shape::Patterns,
        rule: "S5.3",
        doc: "Images that are never removed: patterns, comma-separated, over whole tags, digests or IDs as the runtime gives them; `*` stands for any run of characters, `?` for one.",
        set: |c, v| c.image_gc_exempt = v.text(),
    },
    Key {
        name: "pod-infra-container-image",
        default: "k8s.gcr.io/pause:3.6",
        shape: Shape::Image,
        rule: "S5.3",
        doc: "The image that sandboxes are made from; never removed. What the runtime itself uses is protected as well.",
        set: |c, v| c.pod_infra_container_image = v.text(),
    },
    Key {
        name: "image-records-file",
        default: "",
        shape: Shape::File,
        rule: "S5.1",
        doc: "Where it is kept when each image was first seen and last used, so that a restart of the host does not forget it; one engine at a time holds it, by a lock on the file of that name with `.lock` at its end. Empty: nowhere.",
        set: |c, v| c.image_records_file = v.text(),
    },
    Key {
        name: "pod-logs-dir",
        default: "/var/log/pods",
        shape: Shape::Directory,
        rule: "S2.4, S4.1",
        doc: "Where the logs of pods are. Empty: those logs are left alone.",
        set: |c, v| c.pod_logs_dir = v.text(),
    },
    Key {
        name: "container-logs-dir",
        default: "/var/log/containers",
        shape: Shape::Directory,
        rule: "S2.4, S4.2",
        doc: "Where the links to the logs of containers are. Empty: those links are left alone.",
        set: |c, v| c.container_logs_dir = v.text(),
    },
    Key {
        name: "container-gc-period",
        default: "1m0s",
        shape: Shape::Duration { zero: false },
        rule: "S6.1",
        doc: "How long after a periodic container pass the next one begins.",
        set: |c, v| c.container_gc_period = v.duration(),
    },
    Key {
        name: "image-gc-period",
        default: "5m0s",
        shape: Shape::Duration { zero: false },
        rule: "S6.1",
        doc: "How long after a periodic image pass the next one begins.",
        set: |c, v| c.image_gc_period = v.duration(),
    },
];

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// What values it takes, in words.
    pub fn range(&self) -> String {
        match self.shape {
            Shape::Endpoint => "`unix://PATH` or an absolute PATH".to_owned(),
            Shape::OptionalEndpoint => "`unix://PATH`, an absolute PATH, or empty".to_owned(),
            Shape::Duration { zero: true } => "a duration such as `1h30m` or `0`".to_owned(),
            Shape::Duration { zero: false } => "a duration above 0 such as `1h30m`".to_owned(),
            Shape::Number { least, most } => format!("a whole number from {least} to {most}"),
            Shape::Bool => "`true` or `false`".to_owned(),
            Shape::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(" or ")
            }
            Shape::Directory => "an absolute path that is not the root, or empty".to_owned(),
            Shape::File => "the absolute path of a file, or empty".to_owned(),
            Shape::Patterns => "patterns separated by commas, or empty".to_owned(),
            Shape::Image => "the name of an image, or empty".to_owned(),
        }
    }

    /// What it does, its default and range.
    pub fn help(&self) -> String {
        let default = self.default_text();
        format!("{} Takes {}. Default: {default}.", self.doc, self.range())
    }

    /// The default, in words where it is empty.
    pub fn default_text(&self) -> String {
        match (self.default, self.shape) {
            ("", Shape::OptionalEndpoint) => "the same as the runtime's".to_owned(),
            ("", _) => "none".to_owned(),
            (default, _) => format!("`{default}`"),
        }
    }
}

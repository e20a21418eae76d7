//! The configuration: text by key as the host sets it, and typed values out of it, with the kubelet's defaults.

pub mod duration;
mod hints;
pub mod keys;
pub mod values;

use crate::error::{Error, Result, Status};
use crate::report::visible;
use keys::KEYS;
use std::collections::BTreeMap;
use std::time::Duration;
use values::Value;

/// What a container's age counts from (S1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeFrom {
    /// Its creation, as in the kubelet's code.
    Created,
    /// Its end, as in the kubelet's manual.
    Finished,
}

/// Values of all keys; see `keys.rs` and `docs/configuration.md` for what each does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each field is the key of its name
pub struct Config {
    pub container_runtime_endpoint: String,
    /// "" = the same as `container_runtime_endpoint`.
    pub image_service_endpoint: String,
    pub runtime_request_timeout: Duration,
    /// Zero = none.
    pub pass_timeout: Duration,
    pub max_parallel_removals: usize,
    /// Zero = no rests.
    pub removal_rest_percent: u32,
    pub max_parallel_image_removals: usize,
    /// "" = none.
    pub hold_file: String,
    pub evidence_max_age: Duration,
    pub dry_run: bool,
    /// Negative = no limit.
    pub maximum_dead_containers_per_container: i64,
    /// Negative = no limit.
    pub maximum_dead_containers: i64,
    pub minimum_container_ttl_duration: Duration,
    pub container_age_from: AgeFrom,
    pub image_gc_high_threshold: u8,
    pub image_gc_low_threshold: u8,
    pub minimum_image_ttl_duration: Duration,
    /// Zero = off.
    pub image_maximum_gc_age: Duration,
    /// Patterns, comma-separated (S5.3).
    pub image_gc_exempt: String,
    pub pod_infra_container_image: String,
    /// "" = none.
    pub image_records_file: String,
    /// "" = leave those logs alone.
    pub pod_logs_dir: String,
    /// "" = leave those links alone.
    pub container_logs_dir: String,
    pub container_gc_period: Duration,
    pub image_gc_period: Duration,
}

/// What a host has set, by key.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<&'static str, String>);

fn unknown(name: &str) -> Error {
    let hint = match hints::meant(name) {
        Some(key) => format!("did you mean {key}?"),
        None => "gc_config_key lists all keys".to_owned(),
    };
    let name = visible(name);
    Error::new(
        Status::InvalidArgument,
        format!("unknown key `{name}`; {hint}"),
    )
}

impl Settings {
    /// Sets a key; a bad key or value is refused by name, and changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let key = keys::find(name).ok_or_else(|| unknown(name))?;
        let checked = values::check(key.shape, value).map_err(|why| {
            Error::new(
                Status::InvalidArgument,
                format!(
                    "bad value `{}` for {name}: {why}; give {}",
                    visible(value),
                    key.range()
                ),
            )
        })?;
        let text = match checked {
            // Of the many ways to write it, one is given back.
            Value::Bool(truth) => truth.to_string(),
            _ => value.to_owned(),
        };
        self.0.insert(key.name, text);
        Ok(())
    }

    /// The value that was set, or the default.
    pub fn get(&self, name: &str) -> Result<&str> {
        let key = keys::find(name).ok_or_else(|| unknown(name))?;
        Ok(self.0.get(key.name).map_or(key.default, String::as_str))
    }

    /// The typed values.
    pub fn config(&self) -> Config {
        let mut config = Config::empty();
        for key in KEYS {
            let text = self.0.get(key.name).map_or(key.default, String::as_str);
            // Defaults pass their own checks (there is a test), and `set` has checked the rest.
            if let Ok(value) = values::check(key.shape, text) {
                (key.set)(&mut config, value);
            }
        }
        config
    }
}

impl Default for Config {
    fn default() -> Config {
        Settings::default().config()
    }
}

impl Config {
    /// Before the table has filled it.
    fn empty() -> Config {
        Config {
            container_runtime_endpoint: String::new(),
            image_service_endpoint: String::new(),
            runtime_request_timeout: Duration::ZERO,
            pass_timeout: Duration::ZERO,
            max_parallel_removals: 1,
            removal_rest_percent: 0,
            max_parallel_image_removals: 1,
            hold_file: String::new(),
            evidence_max_age: Duration::ZERO,
            dry_run: true,
            maximum_dead_containers_per_container: -1,
            maximum_dead_containers: -1,
            minimum_container_ttl_duration: Duration::ZERO,
            container_age_from: AgeFrom::Created,
            image_gc_high_threshold: 100,
            image_gc_low_threshold: 0,
            minimum_image_ttl_duration: Duration::ZERO,
            image_maximum_gc_age: Duration::ZERO,
            image_gc_exempt: String::new(),
            pod_infra_container_image: String::new(),
            image_records_file: String::new(),
            pod_logs_dir: String::new(),
            container_logs_dir: String::new(),
            container_gc_period: Duration::ZERO,
            image_gc_period: Duration::ZERO,
        }
    }

    /// What is wrong only together.
    pub fn check(&self) -> Result<()> {
        let (high, low) = (self.image_gc_high_threshold, self.image_gc_low_threshold);
        if low >= high {
            return Err(Error::new(
                Status::Config,
                format!(
                    "image-gc-low-threshold ({low}) is not below image-gc-high-threshold ({high}); lower the one or raise the other"
                ),
            ));
        }
        let (age, least) = (self.image_maximum_gc_age, self.minimum_image_ttl_duration);
        if !age.is_zero() && age <= least {
            return Err(Error::new(
                Status::Config,
                format!(
                    "image-maximum-gc-age ({age:?}) is not above minimum-image-ttl-duration ({least:?}); raise the one or lower the other"
                ),
            ));
        }
        self.check_files()?;
        let (pods, links) = (&self.pod_logs_dir, &self.container_logs_dir);
        if !pods.is_empty() && !links.is_empty() && nested(pods, links) {
            return Err(Error::new(
                Status::Config,
                format!(
                    "pod-logs-dir ({pods}) and container-logs-dir ({links}) lie one in the other: what is in the first is taken for logs of pods; set both as the kubelet has them"
                ),
            ));
        }
        Ok(())
    }
}

/// What crigc writes beside its records file (`host::records`).
const BESIDE_RECORDS: [&str; 4] = ["", ".lock", ".new", ".aside"];

impl Config {
    /// Whether its files are apart from each other, and from what it deletes.
    fn check_files(&self) -> Result<()> {
        let (hold, records) = (self.hold_file.as_str(), self.image_records_file.as_str());
        let files = [("hold-file", hold), ("image-records-file", records)];
        let dirs = [
            ("pod-logs-dir", self.pod_logs_dir.as_str()),
            ("container-logs-dir", self.container_logs_dir.as_str()),
        ];
        let set = |(_, path): &(&str, &str)| !path.is_empty();
        for (key, file) in files.into_iter().filter(set) {
            for (dir_key, dir) in dirs.into_iter().filter(set) {
                let names: Vec<&str> = values::parts(file).collect();
                if names.starts_with(&values::parts(dir).collect::<Vec<_>>()) {
                    return Err(Error::new(
                        Status::Config,
                        format!(
                            "{key} ({file}) lies in {dir_key} ({dir}), where crigc deletes; put it elsewhere"
                        ),
                    ));
                }
            }
        }
        let own = BESIDE_RECORDS.map(|suffix| format!("{records}{suffix}"));
        if !hold.is_empty() && !records.is_empty() && own.iter().any(|path| same(path, hold)) {
            return Err(Error::new(
                Status::Config,
                format!(
                    "hold-file ({hold}) is one of the files of image-records-file ({records}), so that everything would be held for ever; name another one"
                ),
            ));
        }
        Ok(())
    }
}

fn same(a: &str, b: &str) -> bool {
    values::parts(a).eq(values::parts(b))
}

/// Whether one of two directories is, or holds, the other.
fn nested(a: &str, b: &str) -> bool {
    values::parts(a)
        .zip(values::parts(b))
        .all(|(one, other)| one == other)
}

//! The configuration: the text of a key becomes a typed value when the host sets it; all other keys have the kubelet's defaults.

pub mod duration;
mod hints;
pub mod keys;
pub mod kubelet_file;
pub mod quantity;
mod values;

pub use keys::Config;

use crate::error::{Error, Result, Status};
use crate::report::visible;
use std::collections::BTreeMap;

/// The key of the runtime's endpoint.
pub const RUNTIME_KEY: &str = "container-runtime-endpoint";

/// The key of the directory in which the host's root is mounted.
pub const HOST_ROOT_KEY: &str = "host-root";

/// Where a container's age begins (S1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeFrom {
    /// At its creation, as in the kubelet's code.
    Created,
    /// At its end, as in the kubelet's manual.
    Finished,
}

/// How the space that removed images free is counted (S5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounting {
    /// By the sizes that the runtime reports, as by the kubelet.
    Reported,
    /// By the figures of the filesystem.
    Measured,
}

/// Where a service listens, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// The longest path of a unix socket, in bytes: `sun_path` without its NUL.
const SOCKET_PATH: usize = 107;

impl Endpoint {
    /// The path of its unix socket, with or without `unix://` in front; if the host connects, a name.
    pub fn path(&self) -> &str {
        self.0.strip_prefix("unix://").unwrap_or(&self.0)
    }

    /// Why it is not the path of a unix socket, if it is not.
    fn is_no_socket(&self) -> Option<String> {
        let path = self.path();
        if !path.starts_with('/') {
            return Some(match self.0.split_once("://") {
                Some((scheme, _)) if scheme != "unix" => {
                    format!(
                        "crigc does not support `{}`, only unix sockets",
                        visible(scheme)
                    )
                }
                _ => "it is not an absolute path of a unix socket".to_owned(),
            });
        }
        (path.len() > SOCKET_PATH).then(|| {
            format!(
                "its path has {} bytes, a unix socket takes {SOCKET_PATH} at most",
                path.len()
            )
        })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&visible(&self.0))
    }
}

/// What a host has set: the typed values, and their texts.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    config: Config,
    texts: BTreeMap<&'static str, String>,
}

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
    /// Sets a key. A bad key or value changes nothing, and the error names it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let key = keys::find(name).ok_or_else(|| unknown(name))?;
        self.set_key(key, value).map_err(|why| {
            Error::new(
                Status::InvalidArgument,
                format!(
                    "bad value `{}` for {name}: {why}; give {}",
                    visible(value),
                    key.range()
                ),
            )
        })
    }

    /// The same for a key that is known; the error says what is wrong with the value.
    fn set_key(&mut self, key: &'static keys::Key, value: &str) -> std::result::Result<(), String> {
        let shown = key.set(&mut self.config, value)?;
        self.texts.insert(key.name, shown);
        Ok(())
    }

    /// The text of a key: what was set, or the default.
    pub fn get(&self, name: &str) -> Result<&str> {
        let key = keys::find(name).ok_or_else(|| unknown(name))?;
        Ok(self.texts.get(key.name).map_or(key.default, String::as_str))
    }

    /// The typed values.
    pub fn config(&self) -> Config {
        self.config.clone()
    }
}

/// The suffixes of the files that belong to image-records-file (`fs::image_ages`).
const BESIDE_RECORDS: [&str; 4] = ["", ".lock", ".new", ".aside"];

fn together(message: String) -> Error {
    Error::new(Status::Config, message)
}

impl Config {
    /// The endpoint of the image service, and its key.
    pub fn image_service(&self) -> (&Endpoint, &'static str) {
        match &self.image_service_endpoint {
            Some(own) => (own, "image-service-endpoint"),
            None => (&self.container_runtime_endpoint, RUNTIME_KEY),
        }
    }

    /// Refuses an endpoint that is not a unix socket, unless the host `connects`: then endpoints are names.
    pub fn check_endpoints(&self, connects: bool) -> Result<()> {
        let own = self.image_service_endpoint.as_ref();
        let all = [
            (RUNTIME_KEY, Some(&self.container_runtime_endpoint)),
            ("image-service-endpoint", own),
        ];
        for (key, endpoint) in all {
            let wrong = endpoint.and_then(|endpoint| Some((endpoint, endpoint.is_no_socket()?)));
            if let Some((endpoint, why)) = wrong.filter(|_| !connects) {
                return Err(together(format!(
                    "bad value `{endpoint}` for {key}: {why}; give `unix://PATH` or an absolute PATH; other names are for hosts that connect by themselves (gc_config_set_connect)"
                )));
            }
        }
        Ok(())
    }

    /// Refuses values that are wrong only together.
    pub fn check(&self) -> Result<()> {
        let (high, low) = (self.image_gc_high_threshold, self.image_gc_low_threshold);
        if low >= high {
            return Err(together(format!(
                "image-gc-low-threshold ({low}) is not below image-gc-high-threshold ({high}); lower the one or raise the other"
            )));
        }
        let least = self.minimum_image_ttl_duration;
        if let Some(age) = self.image_maximum_gc_age.filter(|age| *age <= least) {
            return Err(together(format!(
                "image-maximum-gc-age ({age:?}) is not above minimum-image-ttl-duration ({least:?}); raise the one or lower the other"
            )));
        }
        if self.max_pod_share < 100 && self.pod_logs_dir.is_none() {
            return Err(together(format!(
                "max-pod-share ({}) counts the pods in pod-logs-dir, which is empty; set pod-logs-dir to where the runtime keeps the logs of pods, or max-pod-share to 100",
                self.max_pod_share
            )));
        }
        self.check_files()?;
        match (&self.pod_logs_dir, &self.container_logs_dir) {
            (Some(pods), Some(links)) if nested(pods, links) => Err(together(format!(
                "pod-logs-dir ({pods}) and container-logs-dir ({links}) are the same directory, or one is inside the other; set both as the kubelet has them"
            ))),
            _ => Ok(()),
        }
    }

    /// A path of the host as it is in this process (S5.11).
    fn on_host(&self, path: &str) -> String {
        format!("{}{path}", self.host_root.as_deref().unwrap_or_default())
    }

    /// Refuses a file inside a directory that crigc deletes from, and a hold file that is one of crigc's own files.
    fn check_files(&self) -> Result<()> {
        let hold = self.hold_file.as_deref().map(|path| self.on_host(path));
        let records = &self.image_records_file;
        let files = [("hold-file", &hold), ("image-records-file", records)];
        let dirs = [
            ("pod-logs-dir", &self.pod_logs_dir),
            ("container-logs-dir", &self.container_logs_dir),
        ];
        for (key, file) in files {
            let Some(file) = file else { continue };
            let names: Vec<&str> = values::parts(file).collect();
            for (dir_key, dir) in dirs {
                let Some(dir) = dir.as_deref().map(|dir| self.on_host(dir)) else {
                    continue;
                };
                if names.starts_with(&values::parts(&dir).collect::<Vec<_>>()) {
                    return Err(together(format!(
                        "{key} ({file}) is inside {dir_key} ({dir}), where crigc deletes; put it elsewhere"
                    )));
                }
            }
        }
        let (Some(hold), Some(records)) = (&hold, records) else {
            return Ok(());
        };
        let own = BESIDE_RECORDS.map(|suffix| format!("{records}{suffix}"));
        if own.iter().any(|path| same(path, hold)) {
            return Err(together(format!(
                "hold-file ({hold}) is one of the files of image-records-file ({records}), so nothing would ever be removed; name another file"
            )));
        }
        Ok(())
    }
}

fn same(a: &str, b: &str) -> bool {
    values::parts(a).eq(values::parts(b))
}

/// Whether two directories are the same, or one is inside the other.
fn nested(a: &str, b: &str) -> bool {
    values::parts(a)
        .zip(values::parts(b))
        .all(|(one, other)| one == other)
}

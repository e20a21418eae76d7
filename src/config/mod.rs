//! The configuration: the text of a key becomes a typed value when the host sets it; all other keys have the kubelet's defaults.

pub mod duration;
mod hints;
pub mod keys;
pub mod kubelet_file;
mod values;

pub use keys::Config;

use crate::error::{Error, Result, Status};
use crate::report::visible;
use std::collections::BTreeMap;

/// The key of the runtime's endpoint.
pub const RUNTIME_KEY: &str = "container-runtime-endpoint";

/// Where a container's age begins (S1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeFrom {
    /// At its creation, as in the kubelet's code.
    Created,
    /// At its end, as in the kubelet's manual.
    Finished,
}

/// Where a service listens, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The path of its unix socket, with or without `unix://` in front.
    pub fn path(&self) -> &str {
        self.0.strip_prefix("unix://").unwrap_or(&self.0)
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
        self.check_files()?;
        match (&self.pod_logs_dir, &self.container_logs_dir) {
            (Some(pods), Some(links)) if nested(pods, links) => Err(together(format!(
                "pod-logs-dir ({pods}) and container-logs-dir ({links}) are the same directory, or one is inside the other; set both as the kubelet has them"
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses a file inside a directory that crigc deletes from, and a hold file that is one of crigc's own files.
    fn check_files(&self) -> Result<()> {
        let (hold, records) = (&self.hold_file, &self.image_records_file);
        let files = [("hold-file", hold), ("image-records-file", records)];
        let dirs = [
            ("pod-logs-dir", &self.pod_logs_dir),
            ("container-logs-dir", &self.container_logs_dir),
        ];
        let set = |(key, path): (&'static str, &Option<String>)| Some((key, path.clone()?));
        for (key, file) in files.into_iter().filter_map(set) {
            let names: Vec<&str> = values::parts(&file).collect();
            for (dir_key, dir) in dirs.into_iter().filter_map(set) {
                if names.starts_with(&values::parts(&dir).collect::<Vec<_>>()) {
                    return Err(together(format!(
                        "{key} ({file}) is inside {dir_key} ({dir}), where crigc deletes; put it elsewhere"
                    )));
                }
            }
        }
        let (Some(hold), Some(records)) = (hold, records) else {
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

//! A folder for a file of image records, and engines that hold it.

use crate::images::{Host, S};
use crigc::config::Settings;
use crigc::engine::{Engine, PassOptions};
use crigc::hooks::{Hook, Hooks, LogLevel};
use crisim::Server;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub const NOW: i64 = 1_700_000_000 * S;
/// Far above what anything here takes.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// A folder for the file, and the host's log.
pub struct Place {
    pub folder: TempDir,
    told: Arc<Mutex<Vec<String>>>,
}

impl Place {
    pub fn new() -> Place {
        Place {
            folder: TempDir::new().unwrap(),
            told: Arc::default(),
        }
    }

    pub fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("records{suffix}"))
    }

    pub fn text(&self) -> String {
        self.path("").to_str().unwrap().to_owned()
    }

    /// An engine with the system's clock, half full.
    pub fn engine(
        &self,
        server: &Server,
        settings: &[(&str, &str)],
    ) -> crigc::error::Result<Engine> {
        self.engine_by(server, settings, |hooks| hooks.clock = None)
    }

    /// The same with other hooks.
    pub fn engine_by(
        &self,
        server: &Server,
        settings: &[(&str, &str)],
        change: impl FnOnce(&mut Hooks),
    ) -> crigc::error::Result<Engine> {
        let host = Host::new(1000, 500);
        let mut hooks: Hooks = host.hooks(true);
        change(&mut hooks);
        let told = self.told.clone();
        let log = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
        hooks.log = Some((LogLevel::Warn, Hook::new(Box::new(log))));
        let mut all = Settings::default();
        let (endpoint, file) = (server.endpoint(), self.text());
        let own = [
            ("container-runtime-endpoint", endpoint.as_str()),
            ("image-records-file", file.as_str()),
        ];
        for (key, value) in own.iter().chain(settings) {
            all.set(key, value).unwrap();
        }
        Engine::new(all.config(), hooks)
    }

    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

/// A file as an engine writes it, of an image that is unused for an hour.
pub fn good(endpoint: &str) -> String {
    let endpoint = endpoint.trim_start_matches("unix://");
    format!(
        r#"{{"crigc-image-records":1,"endpoint":"{endpoint}","written":{NOW},"watched":3600000000000,"images":[{{"id":"a","handler":"","first_detected":null,"last_used":null,"unused_since":0,"size":1,"pinned":false}}]}}"#
    )
}

/// A file of records in a folder that can be taken away for a while, so that the file cannot be read.
pub struct Passing {
    folder: PathBuf,
    away: PathBuf,
}

impl Passing {
    /// The file is [`good`].
    pub fn new(place: &Place, server: &Server) -> Passing {
        let at = |name: &str| place.folder.path().join(name);
        let (folder, away) = (at("folder"), at("away"));
        fs::create_dir(&folder).unwrap();
        let passing = Passing { folder, away };
        fs::write(passing.file(), good(&server.endpoint())).unwrap();
        passing
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("records")
    }

    /// An engine whose age limit removes the image of the file.
    pub fn engine(&self, place: &Place, server: &Server) -> Engine {
        let file = self.file();
        let keys = [
            ("image-maximum-gc-age", "30m"),
            ("image-records-file", file.to_str().unwrap()),
        ];
        place.engine(server, &keys).unwrap()
    }

    /// From now on there is a file in the folder's place.
    pub fn take_away(&self) {
        fs::rename(&self.folder, &self.away).unwrap();
        fs::write(&self.folder, "").unwrap();
    }

    pub fn bring_back(&self) {
        fs::remove_file(&self.folder).unwrap();
        fs::rename(&self.away, &self.folder).unwrap();
    }
}

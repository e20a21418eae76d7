//! The two log directories as a pass finds them, and what of them is gone, or would be in a dry run (S0.5).

use crate::config::Config;
use crate::host::gone::GonePaths;
use crate::host::logs::LogRoom;
use crate::node::Text;
use std::cell::RefCell;
use std::collections::HashSet;
use std::io;

/// A log directory.
pub(crate) enum Room {
    /// Its key is empty: leave it alone.
    Off,
    /// It does not exist.
    Missing(String),
    /// It cannot be opened.
    Failed(String, io::Error),
    Open(LogRoom),
}

impl Room {
    pub(super) fn open(dir: &str) -> Room {
        if dir.is_empty() {
            return Room::Off;
        }
        match LogRoom::open(dir) {
            Ok(room) => Room::Open(room),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Room::Missing(dir.to_owned()),
            Err(e) => Room::Failed(dir.to_owned(), e),
        }
    }
}

/// Both log directories, and what has gone.
pub(crate) struct Rooms {
    pub(crate) pod_logs: Room,
    pub(crate) links: Room,
    /// Log files and trees that a dry run would have deleted.
    pub(crate) paths: RefCell<GonePaths>,
    /// Links that go with their containers in a dry run.
    pub(crate) link_names: RefCell<HashSet<String>>,
    /// IDs of containers that are gone or would be.
    pub(crate) containers: RefCell<HashSet<Text>>,
    /// IDs of UNKNOWN containers that a dry run would have stopped: they would have exited, even where they then stay.
    pub(crate) stopped: RefCell<HashSet<Text>>,
}

impl Rooms {
    pub(crate) fn open(config: &Config) -> Rooms {
        Rooms {
            pod_logs: Room::open(&config.pod_logs_dir),
            links: Room::open(&config.container_logs_dir),
            paths: RefCell::default(),
            link_names: RefCell::default(),
            containers: RefCell::default(),
            stopped: RefCell::default(),
        }
    }
}

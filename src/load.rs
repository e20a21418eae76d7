//! Loads the configuration that a node's kubelet has: `fs` reads the files, `config` decides what they set, and the host's log says
//! what was left out.

use crate::config::Settings;
use crate::config::kubelet_file::DropIns;
use crate::error::{Error, Result, Status};
use crate::fs::config_files::{self, Kind};
use crate::hooks::{Hooks, LogLevel};
use crate::report::visible;
use std::path::{Path, PathBuf};

/// How many skipped files a message names.
const NAMED: usize = 5;

/// Sets what a file, or the files of a drop-in directory, name. If anything is wrong, nothing is set.
pub fn load(path: &str, settings: &mut Settings, hooks: &Hooks) -> Result<()> {
    if path.is_empty() {
        let message = "path is empty; name a file or a directory of the kubelet's configuration";
        return Err(Error::new(Status::InvalidArgument, message));
    }
    let path = Path::new(path);
    let notes = match config_files::kind(path)? {
        Kind::Directory => directory(path, settings)?,
        Kind::File => file(path, settings)?,
        Kind::LinkToDirectory => vec![format!(
            "{} is a symbolic link to a directory; as for the kubelet, nothing behind it counts, unless the path ends in `/`",
            visible(&path.to_string_lossy())
        )],
    };
    for note in notes {
        tell(hooks, &note);
    }
    Ok(())
}

fn file(path: &Path, settings: &mut Settings) -> Result<Vec<String>> {
    let bytes = config_files::read(path)?;
    let absolute = std::path::absolute(path).map_err(|e| {
        let path = visible(&path.to_string_lossy());
        let message = format!("cannot tell where {path} is: {e}; give an absolute path");
        Error::new(Status::Io, message)
    })?;
    settings.load_file(&absolute, &bytes)
}

fn directory(path: &Path, settings: &mut Settings) -> Result<Vec<String>> {
    let found = config_files::drop_ins(path)?;
    let mut drop_ins = DropIns::onto(settings);
    let mut notes = Vec::new();
    for file in &found.files {
        notes.extend(drop_ins.add(file, &config_files::read(file)?)?);
    }
    drop_ins.apply(settings)?;
    notes.extend(skipped(&found.skipped));
    Ok(notes)
}

/// The message about files that were skipped. Hidden ones are not worth a word: the links of a ConfigMap are such.
fn skipped(files: &[PathBuf]) -> Option<String> {
    let name = |file: &PathBuf| Some(visible(&file.file_name()?.to_string_lossy()));
    let is_worth = |file: &&PathBuf| !name(file).is_some_and(|name| name.starts_with('.'));
    let files: Vec<&PathBuf> = files.iter().filter(is_worth).collect();
    let named: Vec<String> = files
        .iter()
        .take(NAMED)
        .map(|file| visible(&file.to_string_lossy()))
        .collect();
    let more = match files.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| {
        format!(
            "skipped, because the kubelet reads only names that end in .conf: {}{more}",
            named.join(", ")
        )
    })
}

fn tell(hooks: &Hooks, message: &str) {
    if let Some((up_to, log)) = &hooks.log
        && *up_to >= LogLevel::Warn
    {
        log.with(|log| log(LogLevel::Warn, message));
    }
}

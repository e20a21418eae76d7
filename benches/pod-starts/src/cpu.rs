//! Who uses the processors, from /proc.

use crate::Failure;
use std::collections::HashMap;
use std::fs;

/// CPU seconds since some time.
#[derive(Clone, Copy)]
pub struct Used {
    /// By the machine.
    pub busy: f64,
    /// Lost to waiting for the disk.
    pub disk_wait: f64,
    /// By the runtime.
    pub runtime: f64,
    /// By processes that have nothing to do with the measurement.
    pub others: f64,
}

impl Used {
    /// Up to now, with the runtime of that ID.
    pub fn now(runtime: u32) -> Result<Used, Failure> {
        let (busy, disk_wait) = machine()?;
        let processes = processes()?;
        let own = processes.get(&runtime).ok_or("the runtime has ended")?;
        let others = processes
            .values()
            .filter(|one| !is_ours(one, &processes, runtime));
        Ok(Used {
            busy,
            disk_wait,
            runtime: own.used,
            others: others.map(|one| one.used + one.children).sum(),
        })
    }

    /// From an earlier time to this one.
    pub fn since(&self, earlier: &Used) -> Used {
        Used {
            busy: self.busy - earlier.busy,
            disk_wait: self.disk_wait - earlier.disk_wait,
            runtime: self.runtime - earlier.runtime,
            others: (self.others - earlier.others).max(0.0),
        }
    }
}

struct Process {
    id: u32,
    parent: u32,
    name: String,
    used: f64,
    /// By children that have ended.
    children: f64,
}

/// Whether it is part of the measurement: the kernel, this program, the runtime, its shims, and all below them.
fn is_ours(process: &Process, all: &HashMap<u32, Process>, runtime: u32) -> bool {
    let mut one = process;
    loop {
        let own = [2, std::process::id(), runtime].contains(&one.id);
        if own
            || ["containerd-shim", "conmon"]
                .iter()
                .any(|shim| one.name.starts_with(shim))
        {
            return true;
        }
        match all.get(&one.parent) {
            Some(parent) if parent.id > 1 => one = parent,
            // What the first process collects of those that ended may have been anybody's.
            _ => return one.id == 1,
        }
    }
}

fn processes() -> Result<HashMap<u32, Process>, Failure> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(id) = entry?.file_name().to_string_lossy().parse() else {
            continue; // no process
        };
        // It may have ended by now.
        let Ok(line) = fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        all.insert(id, process(id, &line)?);
    }
    Ok(all)
}

fn process(id: u32, line: &str) -> Result<Process, Failure> {
    // The name may hold anything, also parentheses and spaces.
    let (start, rest) = line.rsplit_once(") ").ok_or("/proc is odd")?;
    let (_, name) = start.split_once('(').ok_or("/proc is odd")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // The first one behind the name is number 3.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    Ok(Process {
        id,
        parent: field(4).parse()?,
        name: name.to_owned(),
        used: seconds(field(14))? + seconds(field(15))?,
        children: seconds(field(16))? + seconds(field(17))?,
    })
}

/// CPU seconds of the machine, and those lost to waiting for the disk.
pub fn machine() -> Result<(f64, f64), Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<&str> = line.split_whitespace().collect();
    let field = |number: usize| seconds(fields.get(number).copied().unwrap_or_default());
    // cpu user nice system idle iowait irq softirq
    let busy = field(1)? + field(2)? + field(3)? + field(6)? + field(7)?;
    Ok((busy, field(5)?))
}

/// Seconds in the ticks of /proc.
fn seconds(ticks: &str) -> Result<f64, Failure> {
    let ticks: f64 = ticks.parse().map_err(|_| format!("{ticks:?} ticks"))?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

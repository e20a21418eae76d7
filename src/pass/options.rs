//! What a pass collects, and how it is to be run.

use super::one_pod::OnePod;
use crate::report::Pass;

/// What a pass collects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// The dead containers, the sandboxes and the logs of the node (S1 to S4).
    Node,
    /// Those of one pod (S8).
    Pod(&'a OnePod),
    /// Images (S5).
    Images,
}

impl Scope<'_> {
    /// The kind of the pass.
    pub(crate) fn pass(self) -> Pass {
        match self {
            Scope::Node => Pass::Containers,
            Scope::Pod(_) => Pass::Pod,
            Scope::Images => Pass::Images,
        }
    }
}

/// What a pass is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) options: PassOptions,
}

/// What a caller or the schedule asks of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassOptions {
    /// Decide and report, but remove nothing (S0.5).
    pub dry_run: bool,
    /// Remove all that is unused, as the kubelet does under disk pressure (S1.4, S3.3, S5.10).
    pub all_unused: bool,
    /// If a pass of the same kind is running, return `Busy` instead of waiting.
    pub no_wait: bool,
    /// Who started it.
    pub trigger: Trigger,
}

/// Who started a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// The host.
    #[default]
    Call,
    /// The schedule: what could not be removed lately is left alone (S0.8), and without records a pass only lists the images (S5.1).
    Period,
    /// The schedule, between two passes: it lists the images and writes their records, and does nothing else (S5.1). Nothing reports it.
    Look,
}

impl PassOptions {
    /// A pass without options that the host calls.
    pub const PLAIN: PassOptions = PassOptions {
        dry_run: false,
        all_unused: false,
        no_wait: false,
        trigger: Trigger::Call,
    };
}

//! How a pass is to be run.

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

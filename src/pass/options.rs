//! How a pass is to be run.

/// What whoever wants a pass says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassOptions {
    /// Decide and report, remove nothing (S0.5).
    pub dry_run: bool,
    /// The kubelet under disk pressure (S1.4, S3.3, S5.10).
    pub all_unused: bool,
    /// `Busy` rather than waiting for a pass of the kind that runs.
    pub no_wait: bool,
    /// Who wants it.
    pub trigger: Trigger,
}

/// Who wants a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// The host.
    #[default]
    Call,
    /// The schedule: what could not be removed lately is left alone (S0.8), and without records a pass only looks at images (S5.1).
    Period,
    /// The schedule, between two passes: it looks at images and records, and nothing else (S5.1). Nobody hears of it.
    Look,
}

impl PassOptions {
    /// A plain pass that the host calls.
    pub const PLAIN: PassOptions = PassOptions {
        dry_run: false,
        all_unused: false,
        no_wait: false,
        trigger: Trigger::Call,
    };
}

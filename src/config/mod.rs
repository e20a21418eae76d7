//! The typed configuration, with the kubelet's defaults.

use std::time::Duration;

/// What a container's age counts from (S1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeFrom {
    /// Its creation, as in the kubelet's code.
    Created,
    /// Its end, as in the kubelet's manual.
    Finished,
}

/// Values of all keys; see `keys.rs` and `CONFIGURATION.md` for what each does.
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
    pub max_parallel_image_removals: usize,
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
    /// Patterns, comma-separated (S5.3).
    pub image_gc_exempt: String,
    pub pod_infra_container_image: String,
    /// "" = leave those logs alone.
    pub pod_logs_dir: String,
    /// "" = leave those links alone.
    pub container_logs_dir: String,
    pub container_gc_period: Duration,
    pub image_gc_period: Duration,
}

//! What a pass asks the host, and what the host is told (S0.3, S0.4).

mod pod_states;
mod told;

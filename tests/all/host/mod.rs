//! What a pass asks the host, and what it reports to the host (S0.3, S0.4).

mod connect;
mod pod_states;
mod share;
mod told;

//! Whole passes over containers: which are removed, in which order, at what pace (S1, S2).

mod ages;
mod cost;
mod kept;
mod removal;
mod stops;

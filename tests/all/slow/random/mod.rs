//! Whole passes over random nodes.

mod containers;
mod hangs;
mod images;
mod one_pod;
mod parts;

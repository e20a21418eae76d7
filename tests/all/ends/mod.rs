//! How passes end: failures, deadlines, cancel and close (S6).

mod image_passes;
mod passes;
mod periods;

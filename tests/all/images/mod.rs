//! Whole passes over images (S5).

mod ages;
mod evidence;
mod gone;
mod records;
mod removal;
mod space;

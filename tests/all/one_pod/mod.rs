//! Passes over one pod (S8): `cases` has what is removed and kept, `others` what is left alone, `ends` turns, failures and ends.

mod cases;
mod ends;
mod newer;
mod node;
mod others;

//! Another Rust library in a host of crigc, for any rustc since 1.56: its panics are its own, and it catches them.
#![crate_type = "staticlib"]

use std::collections::HashMap;
use std::panic::catch_unwind;

struct Dropped(HashMap<u32, String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        println!("unwound past {}", self.0.len());
    }
}

fn panics(times: u32) {
    let held = Dropped((0..times).map(|i| (i, format!("{i}"))).collect());
    if times > 0 {
        panic!("a panic of the other library: {}", held.0.len());
    }
}

/// Panics on this thread and on another one. Returns how many panics were caught: 2, or 0 if `times` is 0.
#[no_mangle]
pub extern "C" fn other_catches(times: u32) -> u32 {
    let here = catch_unwind(|| panics(times)).is_err();
    let there = std::thread::spawn(move || panics(times)).join().is_err();
    u32::from(here) + u32::from(there)
}

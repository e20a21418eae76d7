//! The numbers by which the metrics of a process's engines can be told apart.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those of the engines that live. Only the process as a whole knows which these are.
static TAKEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn taken() -> MutexGuard<'static, Vec<u32>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of an engine: the smallest that no other living engine has, so that an engine that takes the place of another continues its
/// series.
pub(super) struct EngineNumber(pub(super) u32);

impl EngineNumber {
    pub(super) fn take() -> EngineNumber {
        let mut taken = taken();
        let free = (0..=u32::MAX).find(|number| !taken.contains(number));
        let number = free.unwrap_or(u32::MAX);
        taken.push(number);
        EngineNumber(number)
    }
}

impl Drop for EngineNumber {
    fn drop(&mut self) {
        taken().retain(|number| *number != self.0);
    }
}

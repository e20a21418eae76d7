//! Random numbers from a seed that names a node. CRIGC_SEEDS=FROM..TO tries other nodes than those of every day.

use std::ops::Range;

/// The seeds to try: the first `count`, or those that the environment names.
pub fn nodes(count: u64) -> Range<u64> {
    let Ok(text) = std::env::var("CRIGC_SEEDS") else {
        return 0..count;
    };
    let (from, to) = text.split_once("..").expect("CRIGC_SEEDS=FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// A small generator of numbers, so that a seed names a node.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }

    pub fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[usize::try_from(self.roll(choice.len() as u64)).unwrap()]
    }
}

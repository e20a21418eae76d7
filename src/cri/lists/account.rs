//! Accounts for the bytes of a list that does not fit a message (S7.3). A message is the sum of its rows, so that parts are the whole
//! list if their sizes add up to what the runtime says of the whole.

/// The size of a container in a list, until some were seen: containerd's limit of 16 MiB holds about 18,000.
const USUAL_SIZE: u64 = 900;

/// containerd's limit of a message, for runtimes whose refusal names no limit.
const USUAL_LIMIT: u64 = 16 << 20;

/// The number of parts is bounded by one part for this many bytes of the list: anybody who may write to the log directories could
/// otherwise cause any number of calls.
const LEAST_PART: u64 = 64 << 10;

/// The bound is at least this many parts, because a short list may have to be divided, too.
const FEW_PARTS: usize = 64;

/// The sizes of a list that did not fit, in bytes of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// The size of the whole as the runtime last gave it, less what has been removed since; `None` = it gave none.
    whole: Option<u64>,
    limit: u64,
    /// The size of a row, until some were seen.
    guess: u64,
    /// Bytes and number of the rows that were seen and have not been removed.
    held: u64,
    rows: u64,
    /// Number of all rows that were seen.
    seen: u64,
    /// A row has been removed since the list was refused last.
    removed_since: bool,
}

impl Account {
    /// `size`: of the whole list, and of the largest message, if the refusal names them.
    pub(super) fn new(size: Option<(u64, u64)>) -> Account {
        Account {
            whole: size.map(|(whole, _)| whole),
            limit: size.map_or(USUAL_LIMIT, |(_, limit)| limit),
            guess: USUAL_SIZE,
            held: 0,
            rows: 0,
            seen: 0,
            removed_since: false,
        }
    }

    /// Expects this many objects in the whole list.
    pub(super) fn expect(&mut self, objects: usize) {
        let each = self
            .whole
            .and_then(|whole| whole.checked_div(objects as u64));
        self.guess = each.unwrap_or(USUAL_SIZE);
    }

    /// The list was refused once more. Returns whether its size is as expected: as before, less what has been removed.
    pub(super) fn renew(&mut self, size: Option<(u64, u64)>) -> bool {
        let whole = size.map(|(whole, _)| whole);
        let stands = whole == self.whole;
        self.removed_since = false;
        self.whole = whole;
        self.limit = size.map_or(self.limit, |(_, limit)| limit);
        stands
    }

    /// Adds a row that was not seen before.
    pub(super) fn saw(&mut self, size: u32) {
        self.held += u64::from(size);
        self.rows += 1;
        self.seen += 1;
    }

    /// A row that was seen has been removed.
    pub(super) fn removed(&mut self, size: u32) {
        let size = u64::from(size);
        self.removed_since = true;
        self.held = self.held.saturating_sub(size);
        self.rows = self.rows.saturating_sub(1);
        self.whole = self.whole.map(|whole| whole.saturating_sub(size));
    }

    fn usual_size(&self) -> u64 {
        self.held
            .checked_div(self.rows)
            .unwrap_or(self.guess)
            .max(1)
    }

    /// How many objects fit one message, by the rows that were seen.
    pub(super) fn fits(&self) -> usize {
        usize::try_from(self.limit / self.usual_size()).unwrap_or(usize::MAX)
    }

    /// How many parts are asked for at most, beside one for each namespace. A list of unknown size is taken for as large as containerd's
    /// limit.
    pub(super) fn most_parts(&self) -> usize {
        let parts = self.whole.unwrap_or(USUAL_LIMIT) / LEAST_PART;
        usize::try_from(parts).unwrap_or(usize::MAX).max(FEW_PARTS)
    }

    /// Whether the whole list should fit a message by now. If its size is unknown: whether something has been removed, so that it may.
    pub(super) fn whole_may_fit(&self) -> bool {
        match self.whole {
            Some(whole) => whole <= self.limit,
            None => self.removed_since,
        }
    }

    /// Whether the rows that were seen and not removed add up to the size of the whole. That proves something only if the runtime gave
    /// the size after the last part (S7.3).
    pub(super) fn is_closed(&self) -> bool {
        self.whole == Some(self.held)
    }

    /// How many objects were seen, and an estimate of how many there are.
    pub(super) fn seen_of(&self) -> (u64, Option<u64>) {
        let removed = self.seen - self.rows;
        let all = self.whole.map(|whole| removed + whole / self.usual_size());
        (self.seen, all.map(|all| all.max(self.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_shows_when_all_is_seen_and_when_the_rest_fits() {
        let mut account = Account::new(Some((1000, 600)));
        assert!(!account.is_closed() && !account.whole_may_fit());
        (0..10).for_each(|_| account.saw(90));
        assert_eq!(account.fits(), 6);
        assert_eq!(account.seen_of(), (10, Some(11)));
        assert!(!account.is_closed());
        account.saw(100);
        assert!(account.is_closed() && !account.whole_may_fit());
        (0..4).for_each(|_| account.removed(90));
        assert!(account.is_closed() && !account.whole_may_fit());
        account.removed(90);
        assert!(account.is_closed() && account.whole_may_fit());
        assert_eq!(account.seen_of(), (11, Some(11)));
        // A row came meanwhile.
        account.renew(Some((700, 600)));
        assert!(!account.is_closed() && !account.whole_may_fit());
        account.renew(None);
        assert!(!account.is_closed());
        // How many objects there are is known beforehand.
        let mut fresh = Account::new(Some((90_000, 9_000)));
        assert_eq!(fresh.fits(), 10);
        fresh.expect(300);
        assert_eq!(fresh.fits(), 30);
        fresh.expect(0);
        assert_eq!(fresh.fits(), 10);
        // A refusal that names no sizes.
        let mut blind = Account::new(None);
        blind.saw(900);
        assert!(!blind.is_closed() && !blind.whole_may_fit());
        assert_eq!(blind.seen_of(), (1, None));
        assert_eq!(blind.fits(), 18_641);
        blind.removed(900);
        assert!(blind.whole_may_fit());
        blind.renew(None);
        assert!(!blind.whole_may_fit());
    }

    #[test]
    fn the_size_of_a_list_bounds_its_parts() {
        let sizes = [
            (Some((40 << 20, 16 << 20)), 640),
            (Some((4000, 1000)), 64),
            (None, 256),
        ];
        for (size, most) in sizes {
            assert_eq!(Account::new(size).most_parts(), most, "{size:?}");
        }
    }
}

//! What is known of a list by its bytes (S7.3): a message is the sum of its rows.

/// What a container takes in a list until some were seen: containerd's limit of 16 MiB holds about 18,000.
const USUAL_SIZE: u64 = 900;

/// containerd's limit of a message; for runtimes whose refusal names none.
const USUAL_LIMIT: u64 = 16 << 20;

/// The least of a list that a part is asked for: what log directories suggest is divided into no more parts than the list has so many
/// bytes (S7.3). Anybody who may write there can make directories.
const LEAST_PART: u64 = 64 << 10;

/// So many parts are asked for in any case: a list of a few of them may have to be divided, too.
const FEW_PARTS: usize = 64;

/// What is known of a list that did not fit, in bytes of its message. A message is the sum of its rows, so that parts which
/// come to what the runtime said of the whole are the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// What the runtime last said of the whole, less what has gone since; `None` = it did not say.
    whole: Option<u64>,
    limit: u64,
    /// What a row takes, until some were seen.
    guess: u64,
    /// Rows seen and still there.
    held: u64,
    rows: u64,
    /// Rows ever seen.
    seen: u64,
    /// Something has gone since the list was refused last.
    gone_since: bool,
}

impl Account {
    /// `size`: of the whole list, and of the largest message, as the refusal names them.
    pub(super) fn new(size: Option<(u64, u64)>) -> Account {
        Account {
            whole: size.map(|(whole, _)| whole),
            limit: size.map_or(USUAL_LIMIT, |(_, limit)| limit),
            guess: USUAL_SIZE,
            held: 0,
            rows: 0,
            seen: 0,
            gone_since: false,
        }
    }

    /// There should be so many objects: what the runtime said of the whole is theirs.
    pub(super) fn expect(&mut self, objects: usize) {
        let each = self
            .whole
            .and_then(|whole| whole.checked_div(objects as u64));
        self.guess = each.unwrap_or(USUAL_SIZE);
    }

    /// The list was refused once more; whether that was to be expected by what has gone. What was told before says nothing of now.
    pub(super) fn renew(&mut self, size: Option<(u64, u64)>) -> bool {
        let whole = size.map(|(whole, _)| whole);
        let stands = whole == self.whole;
        self.gone_since = false;
        self.whole = whole;
        self.limit = size.map_or(self.limit, |(_, limit)| limit);
        stands
    }

    /// A row that was not seen before.
    pub(super) fn saw(&mut self, size: u32) {
        self.held += u64::from(size);
        self.rows += 1;
        self.seen += 1;
    }

    /// A row that was seen has gone.
    pub(super) fn removed(&mut self, size: u32) {
        let size = u64::from(size);
        self.gone_since = true;
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

    /// How many objects one message holds, as far as was seen.
    pub(super) fn fits(&self) -> usize {
        usize::try_from(self.limit / self.usual_size()).unwrap_or(usize::MAX)
    }

    /// How many parts are asked for at most, beside one for each namespace. A list of which nobody told the size is taken for as
    /// large as a message of containerd may be.
    pub(super) fn most_parts(&self) -> usize {
        let parts = self.whole.unwrap_or(USUAL_LIMIT) / LEAST_PART;
        usize::try_from(parts).unwrap_or(usize::MAX).max(FEW_PARTS)
    }

    /// Whether the whole list should fit a message by now; where nobody said how large it is, whether it is worth a try.
    pub(super) fn whole_may_fit(&self) -> bool {
        match self.whole {
            Some(whole) => whole <= self.limit,
            None => self.gone_since,
        }
    }

    /// Whether what was seen and is still there comes to what was told last. That proves something only where it was told after the
    /// last part (S7.3).
    pub(super) fn is_closed(&self) -> bool {
        self.whole == Some(self.held)
    }

    /// How many objects were seen, and how many there are by estimate.
    pub(super) fn seen_of(&self) -> (u64, Option<u64>) {
        let gone = self.seen - self.rows;
        let all = self.whole.map(|whole| gone + whole / self.usual_size());
        (self.seen, all.map(|all| all.max(self.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_knows_when_all_is_seen_and_when_the_rest_fits() {
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
        // Something came meanwhile.
        account.renew(Some((700, 600)));
        assert!(!account.is_closed() && !account.whole_may_fit());
        account.renew(None);
        assert!(!account.is_closed());
        // What is known beforehand.
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
    fn a_list_is_asked_for_in_no_more_parts_than_its_size_is_worth() {
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

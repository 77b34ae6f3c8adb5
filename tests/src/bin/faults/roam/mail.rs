//! [`Mail`]: what one client gets of the messages to it alone, over all its connections, and what is wrong with that.

use std::collections::BTreeSet;

use super::sender::Letters;

#[derive(Debug, Default)]
pub(super) struct Mail {
    heard: Vec<Heard>,
    /// Those that came behind one with a higher number.
    late: BTreeSet<u64>,
    /// Those that came again.
    again: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Got(u64),
    /// It was told that so many are missing, or that nobody knows.
    Told(Option<u64>),
}

/// What is to be said of it, by what those who sent it were told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Those that were put into its queue, and are missing without a word.
    pub(super) silent: Vec<u64>,
    /// How many are missing, and it was told so.
    pub(super) told: usize,
    /// Those that it has got though nobody was there to get them.
    pub(super) ghosts: Vec<u64>,
    pub(super) duplicates: usize,
    /// Those that came behind a later one.
    pub(super) disorder: Vec<u64>,
    /// Those of them that were given to a node which said nothing, and so the later one to another: between two nodes there is no order.
    pub(super) overtaken: Vec<u64>,
}

impl Mail {
    /// So many are missing that it had not seen when it came back, or nobody knows how many.
    pub(super) fn told(&mut self, lost: Option<u64>) {
        self.heard.push(Heard::Told(lost));
    }

    /// This one has come. Says what is strange about that.
    pub(super) fn got(&mut self, number: u64) -> Option<&'static str> {
        if self.last().is_none_or(|last| last < number) {
            self.heard.push(Heard::Got(number));
            return None;
        }
        if self.heard.contains(&Heard::Got(number)) || !self.late.insert(number) {
            self.again += 1;
            return Some("again");
        }
        Some("late")
    }

    /// The highest number that has come.
    pub(super) fn last(&self) -> Option<u64> {
        self.heard.iter().rev().find_map(|heard| match heard {
            Heard::Got(number) => Some(*number),
            Heard::Told(_) => None,
        })
    }

    pub(super) fn verdict(&self, letters: &Letters) -> Verdict {
        let unanswered = |number: &u64| letters.unanswered.contains(number);
        let (overtaken, disorder) = self.late.iter().copied().partition(unanswered);
        let ghosts = self.late.iter().copied().filter(|number| letters.gone.contains(number)).collect();
        let mut verdict =
            Verdict { duplicates: self.again, disorder, overtaken, ghosts, ..Verdict::default() };
        let (mut next, mut may_miss) = (0, Some(0));
        for heard in &self.heard {
            match *heard {
                Heard::Told(count) => {
                    may_miss =
                        may_miss.zip(count).map(|(before, more): (u64, u64)| before.saturating_add(more));
                }
                Heard::Got(number) => {
                    verdict.ghosts.extend(letters.gone.contains(&number).then_some(number));
                    let between = letters.delivered.range(next..number).copied();
                    let missing: Vec<u64> = between.filter(|number| !self.late.contains(number)).collect();
                    if may_miss.is_none_or(|most| missing.len() as u64 <= most) {
                        verdict.told += missing.len();
                    } else {
                        verdict.silent.extend(missing);
                    }
                    (next, may_miss) = (number + 1, Some(0));
                }
            }
        }
        verdict
    }
}

impl Verdict {
    /// Those of which something is wrong, but that they are missing.
    pub(super) fn wrong(&self) -> impl Iterator<Item = u64> + '_ {
        self.ghosts.iter().chain(&self.disorder).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of 0 to 9 that were put into the client's queue; some found no session, and some were given to a node that said nothing.
    fn letters(gone: &[u64], unanswered: &[u64]) -> Letters {
        let mut letters = Letters::default();
        letters.gone.extend(gone);
        letters.unanswered.extend(unanswered);
        letters.delivered =
            (0..10).filter(|number| !gone.contains(number) && !unanswered.contains(number)).collect();
        letters
    }

    fn mail(numbers: &[u64]) -> Mail {
        let mut mail = Mail::default();
        for number in numbers {
            mail.got(*number);
        }
        mail
    }

    #[test]
    fn what_was_delivered_has_come_or_it_was_told() {
        assert_eq!(mail(&[0, 1, 2, 3]).verdict(&letters(&[], &[])), Verdict::default());
        let silent = |silent: &[u64]| Verdict { silent: silent.to_vec(), ..Verdict::default() };
        assert_eq!(mail(&[0, 3]).verdict(&letters(&[], &[])), silent(&[1, 2]));
        assert_eq!(mail(&[0, 3]).verdict(&letters(&[1], &[2])), Verdict::default());
        for (lost, expected) in [
            (Some(2), Verdict { told: 2, ..Verdict::default() }),
            (None, Verdict { told: 2, ..Verdict::default() }),
            (Some(1), silent(&[1, 2])),
        ] {
            let mut mail = mail(&[0]);
            mail.told(lost);
            mail.got(3);
            assert_eq!(mail.verdict(&letters(&[], &[])), expected, "{lost:?}");
        }
    }

    #[test]
    fn one_that_was_for_nobody_is_a_ghost() {
        for numbers in [[0, 1, 2, 3], [0, 2, 3, 1]] {
            assert_eq!(mail(&numbers).verdict(&letters(&[1], &[])).ghosts, [1], "{numbers:?}");
        }
    }

    #[test]
    fn only_one_that_was_given_to_another_node_may_be_late() {
        let late = |expected: &[u64], of: &Letters| {
            let verdict = mail(&[0, 2, 3, 1]).verdict(of);
            assert_eq!((&*verdict.disorder, verdict.silent.len()), (expected, 0));
            verdict.overtaken.len()
        };
        assert_eq!(late(&[1], &letters(&[], &[])), 0);
        assert_eq!(late(&[1], &letters(&[], &[2])), 0);
        assert_eq!(late(&[], &letters(&[], &[1])), 1);
    }

    #[test]
    fn one_that_comes_again_is_a_duplicate_early_or_late() {
        for numbers in [&[0, 1, 1][..], &[0, 1, 2, 1], &[0, 2, 1, 1], &[0, 2, 1, 2]] {
            let verdict = mail(numbers).verdict(&letters(&[], &[1]));
            assert_eq!((verdict.duplicates, verdict.disorder.len()), (1, 0), "{numbers:?}");
        }
    }
}

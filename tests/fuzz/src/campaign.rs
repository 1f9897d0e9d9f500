//! Feeding a target.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::mutate::change;
use crate::{Target, Verdict};

/// Longer than this for one input is a finding. Only long runs look at the clock.
const LONGEST: Duration = Duration::from_millis(100);
/// Most attempts to make one input shorter.
const MOST_ATTEMPTS: u32 = 100;
/// Inputs of the corpus are changed as they are as often as those that the run has found.
const MOST_KEPT: usize = 4096;

/// An input that breaks what must hold.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What is wrong.
    pub reason: String,
}

/// One run over a target: first the inputs that are given, then random changes of them.
pub struct Campaign<'t> {
    target: &'t mut Target,
    inputs: Vec<Vec<u8>>,
    behaviours: BTreeSet<String>,
    fresh: Vec<Vec<u8>>,
    rng: StdRng,
    runs: u64,
}

impl<'t> Campaign<'t> {
    /// Begins with `inputs`; the same `seed` makes the same changes.
    ///
    /// # Errors
    ///
    /// [`Finding`] if one of the inputs breaks what must hold.
    pub fn new(
        target: &'t mut Target,
        inputs: Vec<Vec<u8>>,
        seed: u64,
    ) -> Result<Self, Box<Finding>> {
        let rng = StdRng::seed_from_u64(seed);
        let mut this = Self {
            target,
            inputs: vec![Vec::new()],
            behaviours: BTreeSet::new(),
            fresh: Vec::new(),
            rng,
            runs: 0,
        };
        for input in inputs {
            this.run(&input)?;
            this.inputs.push(input);
        }
        Ok(this)
    }

    /// Changes and runs one more input.
    ///
    /// # Errors
    ///
    /// [`Finding`] if it breaks what must hold.
    pub fn step(&mut self) -> Result<(), Box<Finding>> {
        let Target { dictionary, max_bytes, .. } = *self.target;
        let input = change(&mut self.rng, &self.inputs, dictionary, max_bytes);
        if self.run(&input)? && self.inputs.len() < MOST_KEPT {
            self.fresh.push(input.clone());
            self.inputs.push(input);
        }
        Ok(())
    }

    /// As [`Self::step`], and an input that takes longer than 100 ms three times in a row is a finding, too.
    ///
    /// # Errors
    ///
    /// [`Finding`] as said.
    pub fn timed_step(&mut self) -> Result<(), Box<Finding>> {
        let before = self.rng.clone();
        let begin = Instant::now();
        self.step()?;
        if begin.elapsed() <= LONGEST {
            return Ok(());
        }
        let Target { dictionary, max_bytes, .. } = *self.target;
        let kept = self.inputs.len() - usize::from(self.fresh.last() == self.inputs.last());
        let input = change(&mut before.clone(), &self.inputs[..kept], dictionary, max_bytes);
        let again = (0..2).map(|_| {
            let begin = Instant::now();
            drop((self.target.check)(&input));
            begin.elapsed()
        });
        let fastest = again.min().unwrap_or_default();
        if fastest <= LONGEST {
            return Ok(());
        }
        let reason =
            format!("it takes {} ms, more than {}", fastest.as_millis(), LONGEST.as_millis());
        Err(Box::new(Finding { input, reason }))
    }

    /// How many inputs ran.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The behaviours that were seen.
    #[must_use]
    pub fn behaviours(&self) -> &BTreeSet<String> {
        &self.behaviours
    }

    /// Inputs that showed a behaviour first, shortened as long as they show it.
    #[must_use]
    pub fn found(mut self) -> Vec<Vec<u8>> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().map(|input| self.shorten(input)).collect()
    }

    /// Whether the input showed something new.
    fn run(&mut self, input: &[u8]) -> Result<bool, Box<Finding>> {
        self.runs += 1;
        match self.verdict(input) {
            Ok(behaviour) => Ok(self.behaviours.insert(behaviour)),
            Err(reason) => Err(Box::new(Finding { input: input.to_vec(), reason })),
        }
    }

    fn verdict(&mut self, input: &[u8]) -> Verdict {
        catch_unwind(AssertUnwindSafe(|| (self.target.check)(input))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panics: {}", text.unwrap_or("without a text")))
        })
    }

    /// Leaves out pieces, ever smaller ones, while the behaviour stays.
    fn shorten(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let Ok(behaviour) = self.verdict(&input) else { return input };
        let (mut piece, mut attempts) = (input.len() / 2, 0);
        while piece > 0 {
            let mut at = 0;
            while at < input.len() && attempts < MOST_ATTEMPTS {
                attempts += 1;
                let mut shorter = input.clone();
                drop(shorter.drain(at..(at + piece).min(input.len())));
                if self.verdict(&shorter).as_ref() == Ok(&behaviour) {
                    input = shorter;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(check: impl FnMut(&[u8]) -> Verdict + 'static) -> Target {
        let check = Box::new(check);
        Target { name: "test", dictionary: &["bad"], max_bytes: 64, changes: 0, check }
    }

    #[test]
    fn panics_and_broken_rules_are_found_with_their_input() {
        let mut broken = target(|input| {
            assert!(!input.ends_with(b"bad"), "it ends badly");
            if input.starts_with(b"bad") {
                Err("it begins badly".into())
            } else {
                Ok(String::new())
            }
        });
        let mut campaign = Campaign::new(&mut broken, vec![b"good".to_vec()], 1).unwrap();
        let finding = (0..100_000).find_map(|_| campaign.step().err()).unwrap();
        assert!(finding.input.windows(3).any(|piece| piece == b"bad"), "{finding:?}");
        assert!(finding.reason.ends_with("badly"), "{finding:?}");
        assert!(Campaign::new(&mut broken, vec![b"bad".to_vec()], 1).is_err(), "a given input");
    }

    #[test]
    fn what_shows_a_new_behaviour_is_kept_and_shortened() {
        let mut counting =
            target(|input| Ok(input.split(|b| *b == b'b').count().min(10).to_string()));
        let mut campaign = Campaign::new(&mut counting, vec![b"good".to_vec()], 1).unwrap();
        for _ in 0..20_000 {
            campaign.step().unwrap();
        }
        assert_eq!(campaign.runs(), 20_001);
        assert_eq!(campaign.behaviours().len(), 10);
        let mut found = campaign.found();
        found.sort();
        let expected: Vec<_> = (1..10).map(|n| vec![b'b'; n]).collect();
        assert_eq!(found, expected);
    }
}

//! Random changes of inputs.

use rand::Rng as _;
use rand::rngs::StdRng;

/// Most changes on top of each other.
const MOST_CHANGES: u32 = 8;
/// Values at which code likes to go wrong.
const BYTES: [u8; 10] = [0, 1, 9, b'\n', b'\r', b' ', b'"', b'\\', 0x7f, 0xff];
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "0.1",
    "65535",
    "4097",
];

/// Changes one input of `corpus` at random, with pieces of others and of `dictionary`.
pub(crate) fn change(
    rng: &mut StdRng,
    corpus: &[Vec<u8>],
    dictionary: &[&str],
    max_bytes: usize,
) -> Vec<u8> {
    let mut input = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(1..=MOST_CHANGES) {
        once(rng, &mut input, corpus, dictionary);
        input.truncate(max_bytes);
        if rng.random_bool(0.4) {
            break;
        }
    }
    input
}

fn once(rng: &mut StdRng, input: &mut Vec<u8>, corpus: &[Vec<u8>], dictionary: &[&str]) {
    let (from, to) = range(rng, input.len());
    match rng.random_range(0..10) {
        0 if !input.is_empty() => {
            let at = rng.random_range(0..input.len());
            input[at] ^= 1 << rng.random_range(0..8);
        }
        1 if !input.is_empty() => {
            let at = rng.random_range(0..input.len());
            input[at] = BYTES[rng.random_range(0..BYTES.len())];
        }
        2 => input.insert(from, rng.random()),
        3 => drop(input.drain(from..to)),
        4 => {
            let piece = input[from..to].to_vec();
            let at = rng.random_range(0..=input.len());
            drop(input.splice(at..at, piece));
        }
        5 => {
            // Many times over: what is allowed once may not be allowed a thousand times.
            let piece = input[from..to].repeat(1 << rng.random_range(1..7));
            drop(input.splice(from..to, piece));
        }
        6 => {
            let other = &corpus[rng.random_range(0..corpus.len())];
            let (start, end) = range(rng, other.len());
            drop(input.splice(from..to, other[start..end].iter().copied()));
        }
        7 => {
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
            let (start, end) = digits(input, from).unwrap_or((from, from));
            drop(input.splice(start..end, number.bytes()));
        }
        _ if !dictionary.is_empty() => {
            let word = dictionary[rng.random_range(0..dictionary.len())];
            let end = if rng.random() { from } else { to };
            drop(input.splice(from..end, word.bytes()));
        }
        _ => input.truncate(from),
    }
}

/// A piece of an input of that length, mostly a short one.
fn range(rng: &mut StdRng, length: usize) -> (usize, usize) {
    let from = rng.random_range(0..=length);
    let most = if rng.random_bool(0.8) { 16 } else { length };
    (from, from + rng.random_range(0..=most.min(length - from)))
}

/// The first number at or after `from`.
fn digits(input: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + input[from..].iter().position(u8::is_ascii_digit)?;
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((start, start + length))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn changes_are_bounded_differ_and_come_again_with_the_same_seed() {
        let corpus = [b"{\"count\":12}".to_vec(), Vec::new()];
        let run = || {
            let mut rng = StdRng::seed_from_u64(7);
            (0..2000).map(|_| change(&mut rng, &corpus, &["null"], 64)).collect::<Vec<_>>()
        };
        let inputs = run();
        assert_eq!(inputs, run());
        assert!(inputs.iter().all(|input| input.len() <= 64));
        let different: std::collections::HashSet<_> = inputs.iter().collect();
        assert!(different.len() > 1000, "{}", different.len());
        assert!(inputs.iter().any(|input| input.windows(4).any(|piece| piece == b"null")));
    }
}

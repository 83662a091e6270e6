//! Random tests that can be done again: one seed, printed, and taken back by `SEED=…`.

/// So many, or `FUZZ` times as many.
pub fn rounds(base: usize) -> usize {
    let times = std::env::var("FUZZ").ok().and_then(|times| times.parse().ok());
    base * times.unwrap_or(1)
}

/// SplitMix64.
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed of the environment, or one of its own.
    pub fn new() -> Self {
        let seed = match std::env::var("SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => getrandom::u64().unwrap(),
        };
        eprintln!("SEED={seed}");
        Self::of(seed)
    }

    /// With this seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// What to do this with once more.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((word ^ (word >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Changes some bytes, or takes away, doubles or brings in pieces.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, words: &[&str]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = at + self.below((bytes.len() - at).min(40) + 1);
            match self.below(8) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                2 => drop(bytes.drain(at..to)),
                3 => {
                    let piece = bytes[at..to].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
                4 => bytes.truncate(at),
                5 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
                _ => {
                    let word = self.one_of(words).bytes();
                    bytes.splice(at..to, word);
                }
            }
        }
    }
}

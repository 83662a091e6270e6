//! The least cut against every cut that there is, on grids small enough to try them all.

use super::{Grid, Neighbour, Side};

const NEIGHBOURS: [(Neighbour, isize, isize); 4] = [
    (Neighbour::Right, 1, 0),
    (Neighbour::Below, 0, 1),
    (Neighbour::BelowRight, 1, 1),
    (Neighbour::BelowLeft, -1, 1),
];

struct Problem {
    width: usize,
    height: usize,
    ties: Vec<i32>,
    joins: Vec<(usize, usize, Neighbour, i32)>,
}

impl Problem {
    fn random(width: usize, height: usize, seed: &mut u64) -> Self {
        let ties = (0..width * height).map(|_| next(seed, 21) - 10).collect();
        let mut joins = Vec::new();
        for at in 0..width * height {
            for (neighbour, dx, dy) in NEIGHBOURS {
                let inside = other(at, (dx, dy), (width, height));
                let capacity = next(seed, 8);
                joins.extend(inside.map(|to| (at, to, neighbour, capacity)));
            }
        }
        Self { width, height, ties, joins }
    }

    fn amount(&self, source: impl Fn(usize) -> bool) -> i32 {
        let ties = self.ties.iter().enumerate().map(|(at, &tie)| match (source(at), tie > 0) {
            (true, false) => -tie,
            (false, true) => tie,
            (true, true) | (false, false) => 0,
        });
        let joins = self.joins.iter().filter(|join| source(join.0) != source(join.1));
        ties.sum::<i32>() + joins.map(|join| join.3).sum::<i32>()
    }

    fn cut(&self) -> Vec<Side> {
        let mut grid = Grid::new(self.width, self.height);
        for (at, &tie) in self.ties.iter().enumerate() {
            grid.tie(at % self.width, at / self.width, tie);
        }
        for &(at, _, neighbour, capacity) in &self.joins {
            grid.join(at % self.width, at / self.width, neighbour, capacity);
        }
        grid.cut()
    }
}

fn other(at: usize, step: (isize, isize), size: (usize, usize)) -> Option<usize> {
    let x = (at % size.0).checked_add_signed(step.0).filter(|&x| x < size.0)?;
    let y = (at / size.0).checked_add_signed(step.1).filter(|&y| y < size.1)?;
    Some(y * size.0 + x)
}

fn next(seed: &mut u64, below: u64) -> i32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    i32::try_from(*seed % below).unwrap()
}

#[test]
fn the_cut_is_the_least_of_all_cuts() {
    let mut seed = std::env::var("SEED").map_or(0x5eed, |text| text.parse().unwrap());
    for round in 0..400 {
        let started = seed;
        let (width, height) = [(4, 3), (3, 4), (12, 1), (1, 11), (2, 6)][round % 5];
        let problem = Problem::random(width, height, &mut seed);
        let sides = problem.cut();
        let found = problem.amount(|at| sides[at] == Side::Source);
        let pixels = width * height;
        let least = (0_u32..1 << pixels).map(|set| problem.amount(|at| set >> at & 1 == 1)).min();
        assert_eq!(Some(found), least, "SEED={started} {width}×{height}");
    }
}

#[test]
fn a_grid_with_nothing_tied_is_all_sink() {
    assert_eq!(Grid::new(2, 1).cut(), [Side::Sink, Side::Sink]);
}

#[test]
fn a_neighbour_outside_is_ignored() {
    let mut grid = Grid::new(1, 1);
    grid.tie(0, 0, 3);
    for (neighbour, _, _) in NEIGHBOURS {
        grid.join(0, 0, neighbour, 9);
    }
    assert_eq!(grid.cut(), [Side::Source]);
}

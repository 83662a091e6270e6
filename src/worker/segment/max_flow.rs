//! The least cut of a pixel grid, by Boykov and Kolmogorov's two growing trees.
//!
//! Source: Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow Algorithms for
//! Energy Minimization in Vision", 2004, with the time-stamped distances of its §3.2.
//!
//! Written here because no permissively licensed crate has it: those that offer a maximum flow do
//! so on general graphs with augmenting paths found one search at a time, which takes minutes on
//! the half million arcs of one photo. On a grid the arcs need no storage of their own.
#![expect(
    clippy::indexing_slicing,
    reason = "nodes are surrounded by a dead border, so a neighbour's index is always inside"
)]

use std::collections::VecDeque;

/// A grid whose pixels are tied to two terminals and to their eight neighbours.
///
/// Fill it with [`Grid::tie`] and [`Grid::join`], then ask once for the [`Grid::cut`].
#[derive(Clone)]
pub(super) struct Grid {
    width: usize,
    height: usize,
    stride: usize,
    /// What can still flow from a node to its neighbour in each direction.
    residual: Vec<[i32; DIRECTIONS]>,
    /// What can still flow from the source to a node (positive) or from it to the sink (negative).
    terminal: Vec<i32>,
    tree: Vec<Tree>,
    parent: Vec<Parent>,
    /// Steps to the terminal, true as of `stamp`.
    distance: Vec<u32>,
    stamp: Vec<u32>,
    now: u32,
    active: VecDeque<usize>,
    orphans: VecDeque<usize>,
}

/// The neighbours of a pixel that are joined once each: the others are the same pairs seen from
/// the other side.
#[derive(Clone, Copy, Debug)]
pub(super) enum Neighbour {
    Right,
    Below,
    BelowRight,
    BelowLeft,
}

/// Whose side of the cut a pixel is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Sink,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    Free,
    Source,
    Sink,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    None,
    Terminal,
    /// The neighbour in this direction.
    Towards(usize),
}

/// Where the two trees touch: from a node of the source's tree in a direction to the sink's.
struct Touch {
    source_node: usize,
    direction: usize,
}

impl Grid {
    /// A grid with nothing tied or joined.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let stride = width + 2;
        let nodes = stride * (height + 2);
        Self {
            width,
            height,
            stride,
            residual: vec![[0; DIRECTIONS]; nodes],
            terminal: vec![0; nodes],
            tree: vec![Tree::Free; nodes],
            parent: vec![Parent::None; nodes],
            distance: vec![0; nodes],
            stamp: vec![0; nodes],
            now: 0,
            active: VecDeque::new(),
            orphans: VecDeque::new(),
        }
    }

    /// Ties a pixel to the source (`bias` above 0) or to the sink (below 0).
    pub(super) fn tie(&mut self, x: usize, y: usize, bias: i32) {
        let node = self.node(x, y);
        self.terminal[node] += bias;
    }

    /// Joins a pixel with one neighbour, in both directions. A neighbour outside is ignored.
    pub(super) fn join(&mut self, x: usize, y: usize, neighbour: Neighbour, capacity: i32) {
        let right = x + 1 < self.width;
        let below = y + 1 < self.height;
        let (inside, direction) = match neighbour {
            Neighbour::Right => (right, 0),
            Neighbour::Below => (below, 2),
            Neighbour::BelowRight => (right && below, 4),
            Neighbour::BelowLeft => (x > 0 && below, 6),
        };
        if !inside {
            return;
        }
        let node = self.node(x, y);
        let other = self.step(node, direction);
        self.residual[node][direction] += capacity;
        self.residual[other][opposite(direction)] += capacity;
    }

    /// Sends all the flow there is and says on which side of the least cut each pixel lies, row
    /// by row. What neither terminal reaches is on the sink's side.
    pub(super) fn cut(mut self) -> Vec<Side> {
        self.plant();
        while let Some(node) = self.active.pop_front() {
            while self.tree[node] != Tree::Free {
                let Some(touch) = self.grow(node) else { break };
                self.now += 1;
                self.augment(&touch);
                while let Some(orphan) = self.orphans.pop_front() {
                    self.adopt(orphan);
                }
            }
        }
        (0..self.height)
            .flat_map(|y| (0..self.width).map(move |x| (x, y)))
            .map(|(x, y)| match self.tree[self.node(x, y)] {
                Tree::Source => Side::Source,
                Tree::Sink | Tree::Free => Side::Sink,
            })
            .collect()
    }

    fn plant(&mut self) {
        for node in 0..self.terminal.len() {
            self.tree[node] = match self.terminal[node] {
                0 => continue,
                1.. => Tree::Source,
                ..0 => Tree::Sink,
            };
            self.parent[node] = Parent::Terminal;
            self.distance[node] = 1;
            self.active.push_back(node);
        }
    }

    /// Takes in what `node` reaches; stops where it meets the other tree.
    fn grow(&mut self, node: usize) -> Option<Touch> {
        let tree = self.tree[node];
        for direction in 0..DIRECTIONS {
            let other = self.step(node, direction);
            let back = opposite(direction);
            let capacity = match tree {
                Tree::Source => self.residual[node][direction],
                Tree::Sink => self.residual[other][back],
                Tree::Free => 0,
            };
            if capacity == 0 {
                continue;
            }
            if self.tree[other] == Tree::Free {
                self.tree[other] = tree;
                self.hang(other, back, node);
                self.active.push_back(other);
            } else if self.tree[other] != tree {
                return Some(match tree {
                    Tree::Source => Touch { source_node: node, direction },
                    Tree::Sink | Tree::Free => Touch { source_node: other, direction: back },
                });
            } else if self.stamp[other] <= self.stamp[node]
                && self.distance[other] > self.distance[node]
            {
                self.hang(other, back, node);
            }
        }
        None
    }

    /// Makes `node`, seen from `child` in `direction`, its parent.
    fn hang(&mut self, child: usize, direction: usize, node: usize) {
        self.parent[child] = Parent::Towards(direction);
        self.stamp[child] = self.stamp[node];
        self.distance[child] = self.distance[node] + 1;
    }

    /// Fills the path through `touch`; what it empties becomes an orphan.
    fn augment(&mut self, touch: &Touch) {
        let Touch { source_node, direction } = *touch;
        let sink_node = self.step(source_node, direction);
        let flow = self.residual[source_node][direction]
            .min(self.room(source_node))
            .min(self.room(sink_node));
        self.residual[source_node][direction] -= flow;
        self.residual[sink_node][opposite(direction)] += flow;
        self.send(source_node, flow);
        self.send(sink_node, flow);
    }

    /// The least that can still flow between a node and the terminal of its tree.
    fn room(&self, mut node: usize) -> i32 {
        let mut room = i32::MAX;
        while let Parent::Towards(direction) = self.parent[node] {
            let parent = self.step(node, direction);
            room = room.min(self.to_child(node, parent, direction));
            node = parent;
        }
        room.min(self.terminal[node].abs())
    }

    fn send(&mut self, mut node: usize, flow: i32) {
        while let Parent::Towards(direction) = self.parent[node] {
            let parent = self.step(node, direction);
            let back = opposite(direction);
            let left = if self.tree[node] == Tree::Source {
                self.residual[node][direction] += flow;
                self.residual[parent][back] -= flow;
                self.residual[parent][back]
            } else {
                self.residual[parent][back] += flow;
                self.residual[node][direction] -= flow;
                self.residual[node][direction]
            };
            if left == 0 {
                self.orphan(node);
            }
            node = parent;
        }
        self.terminal[node] -= self.terminal[node].signum() * flow;
        if self.terminal[node] == 0 {
            self.orphan(node);
        }
    }

    fn orphan(&mut self, node: usize) {
        self.parent[node] = Parent::None;
        self.orphans.push_back(node);
    }

    /// What can flow along the tree between a node and its parent in `direction`.
    fn to_child(&self, node: usize, parent: usize, direction: usize) -> i32 {
        match self.tree[node] {
            Tree::Source => self.residual[parent][opposite(direction)],
            Tree::Sink => self.residual[node][direction],
            Tree::Free => 0,
        }
    }

    /// Finds an orphan the parent that is nearest to the terminal, or sets it free.
    fn adopt(&mut self, orphan: usize) {
        let tree = self.tree[orphan];
        let mut best: Option<(u32, usize)> = None;
        for direction in 0..DIRECTIONS {
            let other = self.step(orphan, direction);
            if self.tree[other] != tree || self.to_child(orphan, other, direction) == 0 {
                continue;
            }
            if let Some(distance) = self.distance_to_terminal(other)
                && best.is_none_or(|(least, _)| distance < least)
            {
                best = Some((distance, direction));
            }
        }
        match best {
            Some((distance, direction)) => {
                self.parent[orphan] = Parent::Towards(direction);
                self.stamp[orphan] = self.now;
                self.distance[orphan] = distance + 1;
            }
            None => self.set_free(orphan, tree),
        }
    }

    /// Steps from a node to the terminal, if its line of parents ends there; remembered on the way.
    fn distance_to_terminal(&mut self, start: usize) -> Option<u32> {
        let mut steps = 0;
        let mut node = start;
        let total = loop {
            if self.stamp[node] == self.now && self.parent[node] != Parent::None {
                break steps + self.distance[node];
            }
            match self.parent[node] {
                Parent::None => return None,
                Parent::Terminal => {
                    self.stamp[node] = self.now;
                    self.distance[node] = 1;
                    break steps + 1;
                }
                Parent::Towards(direction) => node = self.step(node, direction),
            }
            steps += 1;
        };
        let mut node = start;
        let mut distance = total;
        while self.stamp[node] != self.now {
            self.stamp[node] = self.now;
            self.distance[node] = distance;
            distance -= 1;
            match self.parent[node] {
                Parent::Towards(direction) => node = self.step(node, direction),
                Parent::None | Parent::Terminal => break,
            }
        }
        Some(total)
    }

    fn set_free(&mut self, orphan: usize, tree: Tree) {
        for direction in 0..DIRECTIONS {
            let other = self.step(orphan, direction);
            if self.tree[other] != tree {
                continue;
            }
            if self.to_child(orphan, other, direction) > 0 {
                self.active.push_back(other);
            }
            if self.parent[other] == Parent::Towards(opposite(direction)) {
                self.orphan(other);
            }
        }
        self.tree[orphan] = Tree::Free;
    }

    fn node(&self, x: usize, y: usize) -> usize {
        (y + 1) * self.stride + x + 1
    }

    fn step(&self, node: usize, direction: usize) -> usize {
        match direction {
            0 => node + 1,
            1 => node - 1,
            2 => node + self.stride,
            3 => node - self.stride,
            4 => node + self.stride + 1,
            5 => node - self.stride - 1,
            6 => node + self.stride - 1,
            _ => node - self.stride + 1,
        }
    }
}

/// Directions come in pairs: an even one and, next to it, its opposite.
fn opposite(direction: usize) -> usize {
    direction ^ 1
}

const DIRECTIONS: usize = 8;

#[cfg(test)]
mod tests;

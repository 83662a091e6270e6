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
    /// From a node to its neighbour in each direction.
    steps: [isize; 8],
    nodes: Vec<Node>,
    now: u32,
    active: VecDeque<usize>,
    orphans: VecDeque<usize>,
}

/// All that is known of a pixel, in one place: a search goes from one to the next.
#[derive(Clone)]
struct Node {
    /// What can still flow to the neighbour in each direction.
    residual: [i32; 8],
    /// What can still flow from the source to it (positive) or from it to the sink (negative).
    terminal: i32,
    /// Steps to the terminal, true as of `stamp`.
    distance: u32,
    stamp: u32,
    tree: Tree,
    parent: Parent,
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
    Towards(u8),
}

/// Where the two trees touch: from a node of the source's tree in a direction to the sink's.
struct Touch {
    source_node: usize,
    direction: u8,
}

impl Grid {
    /// A grid with nothing tied or joined.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let stride = width + 2;
        let below = isize::try_from(stride).unwrap_or(isize::MAX);
        Self {
            width,
            height,
            stride,
            steps: [1, -1, below, -below, below + 1, -below - 1, below - 1, 1 - below],
            nodes: vec![Node::FREE; stride * (height + 2)],
            now: 0,
            active: VecDeque::new(),
            orphans: VecDeque::new(),
        }
    }

    /// Ties a pixel to the source (`bias` above 0) or to the sink (below 0).
    pub(super) fn tie(&mut self, x: usize, y: usize, bias: i32) {
        let node = self.node(x, y);
        self.nodes[node].terminal += bias;
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
        self.nodes[node].residual[usize::from(direction)] += capacity;
        self.nodes[other].residual[usize::from(opposite(direction))] += capacity;
    }

    /// Sends all the flow there is and says on which side of the least cut each pixel lies, row
    /// by row. What neither terminal reaches is on the sink's side.
    pub(super) fn cut(mut self) -> Vec<Side> {
        self.plant();
        while let Some(node) = self.active.pop_front() {
            while self.nodes[node].tree != Tree::Free {
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
            .map(|(x, y)| match self.nodes[self.node(x, y)].tree {
                Tree::Source => Side::Source,
                Tree::Sink | Tree::Free => Side::Sink,
            })
            .collect()
    }

    fn plant(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].tree = match self.nodes[node].terminal {
                0 => continue,
                1.. => Tree::Source,
                ..0 => Tree::Sink,
            };
            self.nodes[node].parent = Parent::Terminal;
            self.nodes[node].distance = 1;
            self.active.push_back(node);
        }
    }

    /// Takes in what `node` reaches; stops where it meets the other tree.
    fn grow(&mut self, node: usize) -> Option<Touch> {
        let tree = self.nodes[node].tree;
        for direction in 0..DIRECTIONS {
            let other = self.step(node, direction);
            let back = opposite(direction);
            let capacity = match tree {
                Tree::Source => self.nodes[node].residual[usize::from(direction)],
                Tree::Sink => self.nodes[other].residual[usize::from(back)],
                Tree::Free => 0,
            };
            if capacity == 0 {
                continue;
            }
            if self.nodes[other].tree == Tree::Free {
                self.nodes[other].tree = tree;
                self.hang(other, back, node);
                self.active.push_back(other);
            } else if self.nodes[other].tree != tree {
                return Some(match tree {
                    Tree::Source => Touch { source_node: node, direction },
                    Tree::Sink | Tree::Free => Touch { source_node: other, direction: back },
                });
            } else if self.nodes[other].stamp <= self.nodes[node].stamp
                && self.nodes[other].distance > self.nodes[node].distance
            {
                self.hang(other, back, node);
            }
        }
        None
    }

    /// Makes `node`, seen from `child` in `direction`, its parent.
    fn hang(&mut self, child: usize, direction: u8, node: usize) {
        self.nodes[child].parent = Parent::Towards(direction);
        self.nodes[child].stamp = self.nodes[node].stamp;
        self.nodes[child].distance = self.nodes[node].distance + 1;
    }

    /// Fills the path through `touch`; what it empties becomes an orphan.
    fn augment(&mut self, touch: &Touch) {
        let Touch { source_node, direction } = *touch;
        let sink_node = self.step(source_node, direction);
        let flow = self.nodes[source_node].residual[usize::from(direction)]
            .min(self.room(source_node))
            .min(self.room(sink_node));
        self.nodes[source_node].residual[usize::from(direction)] -= flow;
        self.nodes[sink_node].residual[usize::from(opposite(direction))] += flow;
        self.send(source_node, flow);
        self.send(sink_node, flow);
    }

    /// The least that can still flow between a node and the terminal of its tree.
    fn room(&self, mut node: usize) -> i32 {
        let mut room = i32::MAX;
        while let Parent::Towards(direction) = self.nodes[node].parent {
            let parent = self.step(node, direction);
            room = room.min(self.to_child(node, parent, direction));
            node = parent;
        }
        room.min(self.nodes[node].terminal.abs())
    }

    fn send(&mut self, mut node: usize, flow: i32) {
        while let Parent::Towards(direction) = self.nodes[node].parent {
            let parent = self.step(node, direction);
            let back = opposite(direction);
            let left = if self.nodes[node].tree == Tree::Source {
                self.nodes[node].residual[usize::from(direction)] += flow;
                self.nodes[parent].residual[usize::from(back)] -= flow;
                self.nodes[parent].residual[usize::from(back)]
            } else {
                self.nodes[parent].residual[usize::from(back)] += flow;
                self.nodes[node].residual[usize::from(direction)] -= flow;
                self.nodes[node].residual[usize::from(direction)]
            };
            if left == 0 {
                self.orphan(node);
            }
            node = parent;
        }
        self.nodes[node].terminal -= self.nodes[node].terminal.signum() * flow;
        if self.nodes[node].terminal == 0 {
            self.orphan(node);
        }
    }

    fn orphan(&mut self, node: usize) {
        self.nodes[node].parent = Parent::None;
        self.orphans.push_back(node);
    }

    /// What can flow along the tree between a node and its parent in `direction`.
    fn to_child(&self, node: usize, parent: usize, direction: u8) -> i32 {
        match self.nodes[node].tree {
            Tree::Source => self.nodes[parent].residual[usize::from(opposite(direction))],
            Tree::Sink => self.nodes[node].residual[usize::from(direction)],
            Tree::Free => 0,
        }
    }

    /// Finds an orphan the parent that is nearest to the terminal, or sets it free.
    fn adopt(&mut self, orphan: usize) {
        let Node { tree, residual, .. } = self.nodes[orphan];
        let mut best: Option<(u32, u8)> = None;
        for direction in 0..DIRECTIONS {
            let other = self.step(orphan, direction);
            let there = &self.nodes[other];
            let capacity = match tree {
                Tree::Source => there.residual[usize::from(opposite(direction))],
                Tree::Sink => residual[usize::from(direction)],
                Tree::Free => 0,
            };
            if there.tree != tree || capacity == 0 {
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
                let now = self.now;
                let node = &mut self.nodes[orphan];
                node.parent = Parent::Towards(direction);
                node.stamp = now;
                node.distance = distance + 1;
            }
            None => self.set_free(orphan, tree),
        }
    }

    /// Steps from a node to the terminal, if its line of parents ends there; remembered on the way.
    fn distance_to_terminal(&mut self, start: usize) -> Option<u32> {
        let mut steps = 0;
        let mut node = start;
        let total = loop {
            let Node { stamp, distance, parent, .. } = self.nodes[node];
            match parent {
                Parent::None => return None,
                _ if stamp == self.now => break steps + distance,
                Parent::Terminal => break steps + 1,
                Parent::Towards(direction) => node = self.step(node, direction),
            }
            steps += 1;
        };
        let (mut node, mut distance) = (start, total);
        while self.nodes[node].stamp != self.now {
            let now = self.now;
            let passed = &mut self.nodes[node];
            passed.stamp = now;
            passed.distance = distance;
            match passed.parent {
                Parent::Towards(direction) => node = self.step(node, direction),
                Parent::None | Parent::Terminal => break,
            }
            distance -= 1;
        }
        Some(total)
    }

    fn set_free(&mut self, orphan: usize, tree: Tree) {
        for direction in 0..DIRECTIONS {
            let other = self.step(orphan, direction);
            if self.nodes[other].tree != tree {
                continue;
            }
            if self.to_child(orphan, other, direction) > 0 {
                self.active.push_back(other);
            }
            if self.nodes[other].parent == Parent::Towards(opposite(direction)) {
                self.orphan(other);
            }
        }
        self.nodes[orphan].tree = Tree::Free;
    }

    fn node(&self, x: usize, y: usize) -> usize {
        (y + 1) * self.stride + x + 1
    }

    fn step(&self, node: usize, direction: u8) -> usize {
        node.wrapping_add_signed(self.steps[usize::from(direction)])
    }
}

impl Node {
    /// Tied and joined to nothing, in no tree.
    const FREE: Self = Self {
        residual: [0; 8],
        terminal: 0,
        distance: 0,
        stamp: 0,
        tree: Tree::Free,
        parent: Parent::None,
    };
}

/// Directions come in pairs: an even one and, next to it, its opposite.
fn opposite(direction: u8) -> u8 {
    direction ^ 1
}

const DIRECTIONS: u8 = 8;

#[cfg(test)]
mod tests;

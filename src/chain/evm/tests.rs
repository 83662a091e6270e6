//! A chain in this process for simulations: its blocks, its nodes, and what breaks.

mod block;
mod ground;
mod node;
mod power;
mod token;

pub(crate) use self::block::Deed;
pub(crate) use self::ground::{BLOCK_SECONDS, Ground, Nature};
pub(crate) use self::node::{Line, Shared, url};
pub(crate) use self::power::{Act, Chance, Power};
pub(crate) use self::token::{Key, key};

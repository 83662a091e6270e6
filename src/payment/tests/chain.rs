//! Payments, ledger and our own settlement on a chain under chance: lost, late and contradictory
//! answers, reorganizations, forgetful nodes, dear gas, payers that change their minds and come
//! back, gateways that die at any write.

mod checks;
mod gateway;
mod world;

use tokio::runtime::Builder;

use self::world::World;
use super::wallet;
use crate::ledger::tests::seeds;

/// What became of the world of one seed, in a number. `RUST_LOG=tollgate=debug` shows how.
fn story(seed: u64) -> u64 {
    eprintln!("SEED={seed}");
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _there = tracing_subscriber::fmt().with_env_filter(filter).without_time().try_init();
    let _there = rustls::crypto::ring::default_provider().install_default();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.end().await
    })
}

#[test]
fn in_a_simulation_of_a_chain_the_promises_are_kept() {
    for seed in seeds(150) {
        story(seed);
    }
}

#[test]
fn in_a_simulation_a_seed_tells_the_same_story_again() {
    for seed in 1..=3 {
        assert_eq!(story(seed), story(seed));
    }
}

const STEPS: usize = 40;

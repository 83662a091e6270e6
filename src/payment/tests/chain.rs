//! Payments, ledger and our own settlement on a chain under chance: lost, late and contradictory
//! answers, reorganizations, forgetful nodes, dear gas, payers that change their minds and come
//! back, gateways that die at any write.

mod checks;
mod gateway;
mod signed;
mod world;

use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;

use self::world::World;
use super::wallet;
use crate::ledger::tests::seeds;

/// Lives through the world of one seed. `RUST_LOG=tollgate=debug` tells what becomes of it.
fn live_through(seed: u64) {
    eprintln!("SEED={seed}");
    let filter =
        tracing_subscriber::EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    let told = tracing_subscriber::fmt().with_env_filter(filter.from_env_lossy()).without_time();
    let _told = tracing::subscriber::set_default(told.finish());
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
        live_through(seed);
    }
}

const STEPS: usize = 40;

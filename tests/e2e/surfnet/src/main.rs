//! A Solana node for the tests: surfpool's engine, which has the real runtime and programs behind
//! JSON-RPC, on free loopback ports and without another cluster. It takes itself for devnet.
//!
//! usage: surfnet SLOT_MS; prints "listening on 127.0.0.1:PORT" when it can be asked.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::process::exit;
use std::{env, io, thread};

use hiro_system_kit::nestable_block_on;
use surfpool_core::runloops::start_local_surfnet_runloop;
use surfpool_core::surfnet::locker::SurfnetSvmLocker;
use surfpool_core::surfnet::svm::{SurfnetSvm, SurfnetSvmConfig};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetConfig, SimnetEvent, SurfpoolConfig, SvmFeatureConfig,
};

fn main() -> Result<(), Box<dyn Error>> {
    let slot_time = env::args().nth(1).ok_or("usage: surfnet SLOT_MS")?.parse()?;
    let [port, ws_port] = free_ports()?;
    let simnet = SimnetConfig {
        offline_mode: true,
        remote_rpc_url: None,
        slot_time,
        block_production_mode: BlockProductionMode::Clock,
        instruction_profiling_enabled: false,
        ..Default::default()
    };
    let svm = SurfnetSvmConfig {
        surfnet_id: simnet.surfnet_id.clone(),
        slot_time,
        instruction_profiling_enabled: simnet.instruction_profiling_enabled,
        max_profiles: simnet.max_profiles,
        log_bytes_limit: simnet.log_bytes_limit,
        feature_config: SvmFeatureConfig::default(),
        skip_blockhash_check: false,
    };
    let bind_host = Ipv4Addr::LOCALHOST.to_string();
    let rpc = RpcConfig { bind_host, bind_port: port, ws_port, ..Default::default() };
    let config = SurfpoolConfig { simnets: vec![simnet], rpc, ..Default::default() };
    let (mut svm, events, geyser) = SurfnetSvm::new(svm)?;
    svm.cached_genesis_hash = Some(DEVNET.parse()?);
    let locker = SurfnetSvmLocker::new(svm);
    let (commands, commanded) = crossbeam_channel::unbounded();
    let runs = thread::spawn(move || {
        nestable_block_on(start_local_surfnet_runloop(locker, config, commands, commanded, geyser))
            .map_err(|error| error.to_string())
    });
    for event in events {
        match event {
            SimnetEvent::CoreStarted(_) => println!("listening on {}:{port}", Ipv4Addr::LOCALHOST),
            SimnetEvent::Aborted(why) => {
                eprintln!("aborted: {why}");
                exit(1);
            }
            SimnetEvent::ErrorLog(_, why) => eprintln!("error: {why}"),
            SimnetEvent::WarnLog(_, why) => eprintln!("warning: {why}"),
            SimnetEvent::Shutdown => break,
            _ => {}
        }
    }
    Ok(runs.join().map_err(|_| "its thread panicked")??)
}

/// The hash of its genesis.
const DEVNET: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";

/// Ports that nobody listened on a moment ago.
fn free_ports() -> io::Result<[u16; 2]> {
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let [first, second] = listeners;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

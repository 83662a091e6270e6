//! An offline Solana node: surfpool's engine behind its own JSON-RPC and WebSocket on loopback.
//!
//! usage: svm-node RPC_PORT WEBSOCKET_PORT [SLOT_MS]
//!
//! The runtime and the programs (System, Token, Token-2022, Associated Token, Memo, Compute Budget)
//! are the real ones; no other cluster is asked for anything. It takes itself for devnet. It starts
//! empty: tests fill it with `surfnet_setAccount` and `surfnet_setTokenAccount`. When it serves, it
//! says so in one line, `listening on 127.0.0.1:RPC_PORT`.

use std::{process::ExitCode, thread};

use surfpool_core::surfnet::{
    locker::SurfnetSvmLocker,
    svm::{SurfnetSvm, SurfnetSvmConfig},
};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetConfig, SimnetEvent, SurfpoolConfig, SvmFeatureConfig,
};

const USAGE: &str = "usage: svm-node RPC_PORT WEBSOCKET_PORT [SLOT_MS]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = Asked::read(&args) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

struct Asked {
    rpc: u16,
    websocket: u16,
    slot_ms: u64,
}

impl Asked {
    /// `None`: not a port, not a number, too few or too many words.
    fn read(args: &[String]) -> Option<Self> {
        let (rpc, websocket, slot) = match args {
            [rpc, websocket] => (rpc, websocket, SLOT_MS),
            [rpc, websocket, slot] => (rpc, websocket, slot.as_str()),
            _ => return None,
        };
        Some(Self {
            rpc: rpc.parse().ok()?,
            websocket: websocket.parse().ok()?,
            slot_ms: slot.parse().ok()?,
        })
    }
}

/// A slot of the main network.
const SLOT_MS: &str = "400";

/// Devnet's: what a gateway knows it by.
const GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";

/// Returns when the engine ends.
fn serve(asked: &Asked) -> Result<(), String> {
    let config = config(asked);
    let rpc = asked.rpc;
    let started = SurfnetSvm::new(engine(&config.simnets[0]));
    let (mut svm, events, geyser) = started.map_err(|e| e.to_string())?;
    svm.cached_genesis_hash = Some(GENESIS.parse().map_err(|_| "no hash: the genesis")?);
    let (commands, commanded) = crossbeam_channel::unbounded();
    let engine = thread::spawn(move || {
        let run = surfpool_core::runloops::start_local_surfnet_runloop(
            SurfnetSvmLocker::new(svm),
            config,
            commands,
            commanded,
            geyser,
        );
        hiro_system_kit::nestable_block_on(run).map_err(|e| e.to_string())
    });
    for event in events {
        match event {
            SimnetEvent::CoreStarted(_) => println!("listening on 127.0.0.1:{rpc}"),
            SimnetEvent::ErrorLog(_, text) => eprintln!("error: {text}"),
            SimnetEvent::WarnLog(_, text) => eprintln!("warning: {text}"),
            SimnetEvent::Aborted(why) => return Err(why),
            SimnetEvent::Shutdown => break,
            _ => {}
        }
    }
    engine.join().map_err(|_| "the engine panicked".to_owned())?
}

fn config(asked: &Asked) -> SurfpoolConfig {
    SurfpoolConfig {
        simnets: vec![SimnetConfig {
            offline_mode: true,
            remote_rpc_url: None,
            slot_time: asked.slot_ms,
            block_production_mode: BlockProductionMode::Clock,
            instruction_profiling_enabled: false,
            ..Default::default()
        }],
        rpc: RpcConfig {
            bind_host: "127.0.0.1".into(),
            bind_port: asked.rpc,
            ws_port: asked.websocket,
            ..Default::default()
        },
        ..Default::default()
    }
}

fn engine(simnet: &SimnetConfig) -> SurfnetSvmConfig {
    SurfnetSvmConfig {
        surfnet_id: simnet.surfnet_id.clone(),
        slot_time: simnet.slot_time,
        instruction_profiling_enabled: simnet.instruction_profiling_enabled,
        max_profiles: simnet.max_profiles,
        log_bytes_limit: simnet.log_bytes_limit,
        feature_config: SvmFeatureConfig::default(),
        skip_blockhash_check: false,
    }
}

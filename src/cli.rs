//! What may be typed.

pub mod check;
pub mod demo;
pub mod init;
pub mod ledger;
pub mod order;
pub mod pay;
mod scratch;
pub mod selftest;
#[cfg(feature = "worker")]
pub mod upstream;

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::clock::Clock;
use crate::config::Config;
use crate::fault::with_causes;
use crate::server::{self, End, Heir};

use order::Order;

/// A reverse proxy that puts a price on an existing API.
///
/// Requests without payment get HTTP 402 with x402 terms; paid ones are verified, forwarded and
/// settled. Routes, prices, limits and chains come from one gateway.toml.
#[derive(Debug, Parser)]
#[command(version, name = "tollgate")]
struct Typed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve what gateway.toml says
    Serve {
        /// The configuration
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Take over from the gateway that starts this process
        #[arg(long, hide = true)]
        take_over: bool,
    },
    /// Validate gateway.toml and show, for each route, what it charges and the 402 it would send
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Ask the facilitators, too, what they settle; exit code 1 if nobody does for a network
        #[arg(long)]
        online: bool,
    },
    /// Pay and attack each route of gateway.toml, with simulated chains and nothing real behind it
    Selftest(selftest::Arguments),
    /// Write a gateway.toml to start from: every operation of an OpenAPI document at one price
    Init(init::Arguments),
    /// Have a running gateway read its configuration again; exit code 1 if it does not take it
    Reload(order::Arguments),
    /// Have a running gateway start the program anew and hand over to it, with no request lost;
    /// exit code 1 if the gateway goes on
    Upgrade(order::Arguments),
    /// Request a URL and pay for it, whatever x402 server is behind it
    Pay(Box<pay::Arguments>),
    /// Show a paid request from end to end on this machine: no network, no chain, no account
    Demo(demo::Arguments),
    /// Run an API to put a price on: chat and trading answers that are made up
    #[cfg(feature = "worker")]
    DemoUpstream(upstream::Arguments),
    /// Run a bundled service by itself
    #[cfg(feature = "worker")]
    #[command(subcommand)]
    Worker(Worker),
    /// Look into the ledger of payments
    #[command(subcommand)]
    Ledger(ledger::Command),
}

#[cfg(feature = "worker")]
#[derive(Debug, Subcommand)]
enum Worker {
    /// Photo in, cut-out back
    BackgroundRemoval(crate::worker::Options),
}

/// Does what was typed.
///
/// Exit codes: 0 done, 1 failed, 64 the command line or the configuration is wrong, 75 a payment's
/// outcome is not known.
pub fn main() -> ExitCode {
    // A second call finds one installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let typed = match Typed::try_parse() {
        Ok(typed) => typed,
        Err(error) => return said_by_clap(&error),
    };
    if let Err(mistake) = log_to_stderr() {
        say(&mut std::io::stderr(), &format!("tollgate: {mistake}"));
        return ExitCode::from(EXIT_USAGE);
    }
    run(typed.command).unwrap_or_else(|error| {
        say(&mut std::io::stderr(), &format!("tollgate: {}", with_causes(&*error)));
        ExitCode::FAILURE
    })
}

type Failure = Box<dyn std::error::Error>;

fn run(command: Command) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout();
    match command {
        Command::Serve { config, take_over: false } => {
            server::read_ahead();
            match load(&config) {
                Ok(config) => server::serve(config, End::Signal, &mut out)?,
                Err(wrong) => return Ok(wrong),
            }
        }
        Command::Serve { config, take_over: true } => {
            server::read_ahead();
            return take_over(&config, &mut out);
        }
        Command::Check { config, online } => match load(&config) {
            Ok(config) => {
                #[cfg(feature = "worker")]
                check::models(&config, &mut out)?;
                check::check(&config, &mut out)?;
                if online {
                    return block_on(check::online(config, out));
                }
            }
            Err(wrong) => return Ok(wrong),
        },
        Command::Selftest(arguments) => {
            let path = arguments.config();
            return match load(path).and_then(|first| Ok((first, load(path)?))) {
                Ok(both) => block_on(selftest::run(&arguments, both, Clock::System, out)),
                Err(wrong) => Ok(wrong),
            };
        }
        Command::Init(arguments) => return init::run(&arguments, &mut out).map_err(Failure::from),
        Command::Reload(arguments) => return ordered(Order::Reload, arguments),
        Command::Upgrade(arguments) => return ordered(Order::Upgrade, arguments),
        Command::Pay(arguments) => return block_on(pay(*arguments)),
        Command::Demo(arguments) => return block_on(demo(arguments)),
        #[cfg(feature = "worker")]
        Command::DemoUpstream(arguments) => {
            let serving = async { upstream::run(arguments, out).await.map(|()| ExitCode::SUCCESS) };
            return block_on(serving);
        }
        #[cfg(feature = "worker")]
        Command::Worker(Worker::BackgroundRemoval(options)) => crate::worker::run(&options)?,
        Command::Ledger(command) => match load(command.config()) {
            Ok(config) => return block_on(ledger::run(command, config, Clock::System)),
            Err(wrong) => return Ok(wrong),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves in the place of the gateway that has started this process, and tells it why not.
fn take_over(config: &Path, out: &mut (impl Write + Send)) -> Result<ExitCode, Failure> {
    let mut heir = Heir::of_standard_input()?;
    match Config::load(config) {
        Ok(config) => server::take_over(config, heir, out)?,
        Err(errors) => {
            let errors = errors.to_string();
            say(&mut std::io::stderr(), errors.trim_end());
            heir.fails(errors.trim_end().to_owned());
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the running gateway for it.
fn ordered(order: Order, arguments: order::Arguments) -> Result<ExitCode, Failure> {
    let order::Arguments { config, admin } = arguments;
    let admin = match admin {
        Some(admin) => admin,
        None => match load(&config) {
            Ok(config) => config.server.admin,
            Err(wrong) => return Ok(wrong),
        },
    };
    block_on(order::run(order, admin, std::io::stdout()))
}

/// The configuration, or the exit code after its mistakes have been shown.
fn load(path: &Path) -> Result<Config, ExitCode> {
    Config::load(path).map_err(|errors| {
        say(&mut std::io::stderr(), errors.to_string().trim_end());
        ExitCode::from(EXIT_USAGE)
    })
}

fn block_on<E: Into<Failure>>(
    work: impl Future<Output = Result<ExitCode, E>>,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work).map_err(Into::into)
}

/// The exit code says what became of the money, also when there is no answer.
async fn pay(arguments: pay::Arguments) -> Result<ExitCode, Failure> {
    let exit = pay::run(arguments, Clock::System).await.unwrap_or_else(|error| {
        say(&mut std::io::stderr(), &format!("tollgate: {}", with_causes(&error)));
        error.exit()
    });
    Ok(ExitCode::from(exit.code()))
}

async fn demo(arguments: demo::Arguments) -> Result<ExitCode, Failure> {
    demo::run(arguments, Clock::System).await?;
    Ok(ExitCode::SUCCESS)
}

fn said_by_clap(error: &clap::Error) -> ExitCode {
    // Nobody is left to hear that the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

/// Diagnostics: `TOLLGATE_LOG` chooses what is said, `info` by default, and `TOLLGATE_LOG_FORMAT`
/// how, in lines for people where they sit at a terminal and in JSON elsewhere.
///
/// # Errors
/// It is another word.
fn log_to_stderr() -> Result<(), String> {
    let filter = EnvFilter::try_from_env("TOLLGATE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,pingora=warn,pingora_core=warn,sqlx=warn"));
    let terminal = std::io::stderr().is_terminal();
    let for_people = match std::env::var("TOLLGATE_LOG_FORMAT").ok().as_deref() {
        Some("json") => false,
        Some("human") => true,
        Some(other) => {
            return Err(format!("TOLLGATE_LOG_FORMAT is {other:?}: write json or human"));
        }
        None => terminal,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a library user's own subscriber can be there first; theirs is kept.
    let _ = match for_people {
        true => subscriber.with_ansi(terminal).try_init(),
        false => subscriber.json().try_init(),
    };
    Ok(())
}

fn say(out: &mut impl Write, text: &str) {
    // A closed pipe is not worth a second failure.
    let _ = writeln!(out, "{text}");
}

const DEFAULT_FILE: &str = "gateway.toml";
/// `EX_USAGE` of sysexits.
const EXIT_USAGE: u8 = 64;

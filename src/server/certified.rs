//! Keeps what an authority issues: shows it, orders it, renews it, and says how it stands.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch as channel;
use tokio::time::sleep;

use super::ServeError;
use super::assemble::setting;
use super::tls::Certificates;
use crate::acme::{self, Failure, Issued, Orders, Settings, Storage, Window};
use crate::clock::{Clock, UnixMillis};
use crate::config::Config;
use crate::fault::with_causes;
use crate::observe::Metrics;

/// What clients who come by TLS are shown, and what is said of it.
#[derive(Clone)]
pub(super) struct Certified {
    pub(super) certificates: Arc<Certificates>,
    settings: channel::Sender<Option<Arc<Settings>>>,
    standing: Arc<ArcSwap<Vec<String>>>,
}

impl Certified {
    /// Shows what the configuration names, and what was issued before.
    ///
    /// # Errors
    /// The storage cannot be had.
    pub(super) fn start(config: &Config) -> Result<Self, ServeError> {
        let certificates = Arc::<Certificates>::default();
        let (settings, _) = channel::channel(None);
        let certified = Self { certificates, settings, standing: Arc::default() };
        certified.exchange(config)?;
        if let Some(settings) = &config.acme {
            let storage = storage(settings)?;
            certified.certificates.exchange_issued(kept(&storage).as_ref());
        }
        Ok(certified)
    }

    /// Takes another configuration over; one that orders asks again at once, even where it has
    /// waited.
    ///
    /// # Errors
    /// The storage cannot be had; then nothing has changed.
    pub(super) fn exchange(&self, config: &Config) -> Result<(), ServeError> {
        config.acme.as_ref().map(storage).transpose()?;
        self.certificates.exchange(&config.certificates);
        self.settings.send_replace(config.acme.clone().map(Arc::new));
        Ok(())
    }

    /// What is ordered now.
    pub(super) fn settings(&self) -> channel::Receiver<Option<Arc<Settings>>> {
        self.settings.subscribe()
    }

    /// A line for each trouble.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.standing.load().to_vec()
    }

    /// Orders for as long as it runs.
    pub(super) async fn keep(self, clock: Clock, metrics: Arc<Metrics>) {
        let told = self.settings();
        Keeper { certified: self, told, clock, metrics, held: None }.keep().await;
    }
}

struct Keeper {
    certified: Certified,
    told: channel::Receiver<Option<Arc<Settings>>>,
    clock: Clock,
    metrics: Arc<Metrics>,
    held: Option<Held>,
}

/// What is known of one certificate.
struct Held {
    settings: Arc<Settings>,
    storage: Storage,
    orders: Orders,
    issued: Option<Issued>,
    /// When its authority would like it to be renewed, and when that is asked.
    wanted: Option<Window>,
    ask_at: UnixMillis,
    /// When it is to be ordered.
    due: UnixMillis,
    trouble: Option<String>,
}

impl Keeper {
    async fn keep(mut self) {
        self.told.mark_changed();
        loop {
            let wait = self.step().await.min(LOOK_EVERY);
            tokio::select! {
                changed = self.told.changed() => match changed {
                    Ok(()) => self.take(),
                    Err(_) => return,
                },
                () = sleep(wait) => {}
            }
        }
    }

    /// Begins with what is told now.
    fn take(&mut self) {
        let told = self.told.borrow_and_update().clone();
        let before = self.held.take();
        let held = told.as_ref().and_then(|settings| {
            let storage = Storage::open(settings);
            let storage = storage.map_err(|error| tracing::error!(%error, "the storage of [acme]"));
            Some(Held::of(Arc::clone(settings), storage.ok()?, self.clock.now()))
        });
        let authority = |held: &Held| held.settings.authority().to_owned();
        if let Some(gone) = before.as_ref().map(authority)
            && Some(&gone) != held.as_ref().map(authority).as_ref()
        {
            self.metrics.certificates.forget(&gone);
        }
        // Until others are issued for other names, the old ones serve.
        let shown = held.as_ref().and_then(|held| held.issued.as_ref());
        if shown.is_some() || held.is_none() {
            self.certified.certificates.exchange_issued(shown);
        }
        self.held = held;
        self.tell();
    }

    /// Does what is due, and says for how long nothing is.
    async fn step(&mut self) -> Duration {
        let Some(held) = &mut self.held else { return LOOK_EVERY };
        held.ask(self.clock.now()).await;
        let now = self.clock.now();
        let at = held.orders.next(held.due);
        if at > now {
            if held.due <= now {
                held.trouble.get_or_insert_with(|| TOO_OFTEN.to_owned());
            }
            self.tell();
            return at.since(now);
        }
        held.orders.begins(now);
        let begun = held.storage.keep_orders(&held.orders).map_err(Failure::from);
        self.tell();
        let challenges = Arc::clone(self.certified.certificates.challenges());
        let Some(held) = &mut self.held else { return LOOK_EVERY };
        let replaced = held.issued.as_ref().filter(|_| held.wanted.is_some());
        let ended = match begun {
            Ok(()) => acme::issue(&held.settings, &held.storage, &challenges, replaced).await,
            Err(failure) => Err(failure),
        };
        let outcome = ended.as_ref().map_or_else(|failure| failure.outcome, |_| "issued");
        self.metrics.certificates.ordered(outcome);
        let now = self.clock.now();
        match ended {
            Ok(issued) => {
                self.certified.certificates.exchange_issued(Some(&issued));
                held.has(issued, now);
                let ends = held.ends();
                tracing::info!(names = held.names(), ends, "a certificate was issued");
            }
            Err(failure) => {
                held.orders.failed(now, failure.pause, chance());
                let (names, why) = (held.names(), failure.why());
                let again = held.orders.next(held.due).since(now).as_secs();
                tracing::warn!(names, why, again_in_seconds = again, "no certificate was issued");
                held.trouble = Some(why.to_owned());
            }
        }
        self.tell();
        Duration::ZERO
    }

    /// Says how it stands, in numbers and in words.
    fn tell(&self) {
        let mut lines = Vec::new();
        if let Some(held) = &self.held {
            let ends = held.ends();
            self.metrics.certificates.set(held.settings.authority(), ends, held.due.seconds());
            lines.extend(held.line(self.clock.now()));
        }
        self.certified.standing.store(Arc::new(lines));
    }
}

impl Held {
    fn of(settings: Arc<Settings>, storage: Storage, now: UnixMillis) -> Self {
        let (orders, issued) = (storage.orders(), kept(&storage));
        let (wanted, trouble) = (None, None);
        let mut held =
            Self { settings, storage, orders, issued, wanted, ask_at: now, due: now, trouble };
        held.plan(now);
        held
    }

    /// Another was issued.
    fn has(&mut self, issued: Issued, now: UnixMillis) {
        self.orders.anew();
        (self.issued, self.wanted, self.ask_at, self.trouble) = (Some(issued), None, now, None);
        self.plan(now);
    }

    /// Finds when it is to be ordered.
    fn plan(&mut self, now: UnixMillis) {
        let fits = |issued: &&Issued| issued.is_for(&self.settings.names);
        self.due = match self.issued.as_ref().filter(fits) {
            Some(Issued { from, until, .. }) => {
                acme::due(Window { from: *from, until: *until }, self.wanted, chance())
            }
            None => now,
        };
    }

    /// Asks, now and then, when the authority would like it to be renewed.
    async fn ask(&mut self, now: UnixMillis) {
        let Some(issued) = self.issued.as_ref().filter(|_| now >= self.ask_at) else { return };
        let asked = acme::window(&self.settings, &self.storage, issued).await;
        let again = match asked {
            Ok(Some((window, again))) => {
                if self.wanted != Some(window) {
                    self.wanted = Some(window);
                    self.plan(now);
                }
                again
            }
            Ok(None) => ASK_EVERY_MAX,
            Err(failure) => {
                let why = failure.why();
                tracing::info!(why, "the authority does not say when to renew");
                ASK_EVERY_MIN
            }
        };
        self.ask_at = now.plus(again.clamp(ASK_EVERY_MIN, ASK_EVERY_MAX));
    }

    /// In seconds since 1970; 0 while there is none for all the names.
    fn ends(&self) -> u64 {
        let fits = self.issued.as_ref().filter(|issued| issued.is_for(&self.settings.names));
        fits.map_or(0, |issued| issued.until.seconds())
    }

    fn names(&self) -> String {
        self.settings.names.join(", ")
    }

    /// What is wrong, if anything is.
    fn line(&self, now: UnixMillis) -> Option<String> {
        let left = self.ends().saturating_sub(now.seconds()) / 3_600;
        let names = self.names();
        let why = self.trouble.as_deref();
        match (self.ends(), why) {
            (0, why) => {
                let why = why.unwrap_or("it is ordered now");
                Some(format!("certificate of {names}: there is none: {why}"))
            }
            (_, Some(why)) => Some(format!(
                "certificate of {names}: ends in {left} hours, and is not renewed: {why}"
            )),
            (_, None) => None,
        }
    }
}

fn storage(settings: &Settings) -> Result<Storage, ServeError> {
    Storage::open(settings).map_err(|error| setting("`acme.storage` cannot be used", error))
}

/// What was issued before.
fn kept(storage: &Storage) -> Option<Issued> {
    storage.certificate().unwrap_or_else(|error| {
        let why = with_causes(&error);
        tracing::warn!(why, "the certificate that was kept is not used");
        None
    })
}

/// Any number, so that gateways that were started at once do not order at once.
fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
}

const TOO_OFTEN: &str = "it waits: so many orders were begun in the last hour";

/// The system's clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);
const ASK_EVERY_MIN: Duration = Duration::from_secs(3_600);
const ASK_EVERY_MAX: Duration = Duration::from_secs(24 * 3_600);

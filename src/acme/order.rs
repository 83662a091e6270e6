//! One order, from an account to a certificate that is kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use tokio::time::timeout;

use super::challenges::{Shown, Unmade};
use super::client::Asking;
use super::issued::Unreadable;
use super::{Challenge, Challenges, Issued, Settings, Storage, Window};
use crate::clock::UnixMillis;
use crate::fault::{printable, with_causes};

/// Why no certificate was issued.
#[derive(Debug)]
pub struct Failure {
    /// Whose doing it is, as a metric names it.
    pub outcome: &'static str,
    /// For how long the authority wants to be left alone.
    pub pause: Option<Duration>,
    why: String,
}

impl Failure {
    /// In one line.
    pub fn why(&self) -> &str {
        &self.why
    }

    fn ours(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { outcome: "ours", pause: None, why: with_causes(error) }
    }

    fn refused(why: &str) -> Self {
        Self { outcome: "refused", pause: None, why: printable(why) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let refused = matches!(error, Error::Api(_));
        let outcome = if refused { "refused" } else { "away" };
        Self { outcome, pause: None, why: printable(&with_causes(&error)) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { why: format!("the storage: {error}"), ..Self::ours(&error) }
    }
}

impl From<Unmade> for Failure {
    fn from(error: Unmade) -> Self {
        Self::ours(&error)
    }
}

impl From<Unreadable> for Failure {
    fn from(error: Unreadable) -> Self {
        Self::refused(&format!("what was issued is no good: {error}"))
    }
}

/// Orders a certificate, shows what the authority wants to see, and keeps what it issues.
/// `replaced` is one whose authority has said when to renew it.
///
/// # Errors
/// The authority refuses or is away, or the storage cannot be written.
///
/// # Cancel safety
/// Dropping it leaves an order that the authority forgets after some days.
pub async fn issue(
    settings: &Settings,
    storage: &Storage,
    challenges: &Arc<Challenges>,
    replaced: Option<&Issued>,
) -> Result<Issued, Failure> {
    let asking = Asking::new(settings).map_err(|error| Failure::ours(&error))?;
    let issuing = async {
        let mut order = begin(settings, storage, &asking, replaced).await?;
        prove(settings.challenge, &mut order, challenges).await?;
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        let pem = format!("{key}{chain}");
        let issued = Issued::read(pem.as_bytes())?;
        if !issued.is_for(&settings.names) {
            return Err(Failure::refused("what was issued is for other names"));
        }
        storage.keep_certificate(&pem)?;
        Ok(issued)
    };
    let issued = timeout(ORDER_TIMEOUT, issuing).await;
    let issued = issued.unwrap_or_else(|_| Err(Error::Timeout(None).into()));
    issued.map_err(|failure| Failure { pause: asking.pause(), ..failure })
}

/// When the authority would like a certificate to be renewed, and when to ask again; nothing where
/// it does not say.
///
/// # Errors
/// As [`issue`].
pub async fn window(
    settings: &Settings,
    storage: &Storage,
    issued: &Issued,
) -> Result<Option<(Window, Duration)>, Failure> {
    let (Some(id), Some(credentials)) = (issued.id(), storage.account()?) else { return Ok(None) };
    let asking = Asking::new(settings).map_err(|error| Failure::ours(&error))?;
    let builder = Account::builder_with_http(Box::new(asking));
    let account = builder.from_credentials(credentials).await?;
    match account.renewal_info(id).await {
        Ok((told, again)) => {
            let at = |time: i64| UnixMillis::new(time.saturating_mul(1_000));
            let wanted = told.suggested_window;
            let window = Window {
                from: at(wanted.start.unix_timestamp()),
                until: at(wanted.end.unix_timestamp()),
            };
            Ok(Some((window, again)))
        }
        Err(Error::Unsupported(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Begins an order, with a new account where the authority has forgotten the old one.
async fn begin(
    settings: &Settings,
    storage: &Storage,
    asking: &Asking,
    replaced: Option<&Issued>,
) -> Result<Order, Failure> {
    let names: Vec<_> =
        settings.names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
    let account = account(settings, storage, asking).await?;
    let id = replaced.and_then(Issued::id).cloned();
    let wanted = id.map(|id| NewOrder::new(&names).replaces(id));
    if let Some(wanted) = wanted {
        match account.new_order(&wanted).await {
            // Somebody has renewed it already; this is one more.
            Err(Error::Api(problem)) if is(&problem, "alreadyReplaced") => {}
            begun => return Ok(begun?),
        }
    }
    match account.new_order(&NewOrder::new(&names)).await {
        Err(Error::Api(problem)) if is(&problem, "accountDoesNotExist") => {
            storage.forget_account()?;
            let account = self::account(settings, storage, asking).await?;
            Ok(account.new_order(&NewOrder::new(&names)).await?)
        }
        begun => Ok(begun?),
    }
}

/// The account of before, or a new one.
async fn account(
    settings: &Settings,
    storage: &Storage,
    asking: &Asking,
) -> Result<Account, Failure> {
    let builder = Account::builder_with_http(Box::new(asking.clone()));
    if let Some(credentials) = storage.account()? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<_> = settings.contact.iter().map(|one| format!("mailto:{one}")).collect();
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = settings.external.as_ref();
    let external = external.map(|one| ExternalAccountKey::new(one.kid.to_string(), &one.key));
    let directory = settings.directory.to_string();
    let (account, credentials) = builder.create(&wanted, directory, external.as_ref()).await?;
    storage.keep_account(&credentials)?;
    Ok(account)
}

/// Shows the authority that each name leads here, and waits until it has seen it.
async fn prove(
    challenge: Challenge,
    order: &mut Order,
    challenges: &Arc<Challenges>,
) -> Result<(), Failure> {
    let kind = || match challenge {
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        Challenge::Http01 => ChallengeType::Http01,
    };
    let mut shown = Shown::default();
    let mut wanted = order.authorizations();
    while let Some(authorization) = wanted.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let handle = authorization.challenge(kind());
        let handle = handle.ok_or_else(|| Failure::refused(NOT_OFFERED))?;
        let (name, answer) = (handle.identifier().to_string(), handle.key_authorization());
        match challenge {
            Challenge::TlsAlpn01 => shown.name(&name.to_ascii_lowercase(), &answer)?,
            Challenge::Http01 => shown.token(&handle.token, &answer),
        }
    }
    let _showing = challenges.show(shown);
    let mut wanted = order.authorizations();
    while let Some(authorization) = wanted.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        if let Some(mut handle) = authorization.challenge(kind()) {
            handle.set_ready().await?;
        }
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) => Err(seen(order).await),
        Err(error) => match error {
            Error::Api(_) => Err(seen(order).await),
            error => Err(error.into()),
        },
    }
}

/// What the authority has seen in the place of what it wanted to see.
async fn seen(order: &mut Order) -> Failure {
    let mut found = Vec::new();
    let mut wanted = order.authorizations();
    while let Some(Ok(mut authorization)) = wanted.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let name = state.identifier().to_string();
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        found.extend(errors.map(|error| format!("{name}: {error}")));
    }
    match found.is_empty() {
        true => Failure::refused("the authority did not see that the names lead here"),
        false => Failure::refused(&found.join("; ")),
    }
}

fn is(problem: &Problem, kind: &str) -> bool {
    let found = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next());
    found == Some(kind)
}

/// How long each step of the authority's is waited for.
const PATIENCE: RetryPolicy = RetryPolicy::new().backoff(1.5).timeout(Duration::from_secs(90));

/// The whole of it.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

const NOT_OFFERED: &str = "the authority does not offer this `challenge` for one of the names";

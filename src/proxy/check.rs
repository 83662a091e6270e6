//! Requests of a proxy that asks before it forwards: judged and answered here, forwarded there.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::admit::Admitted;
use super::exchange::{AskedAbout, Exchange};
use super::inspect::{self, Reader};
use super::{Gateway, answer, peer};
use crate::ledger::answers::Giver;
use crate::payment::{PAYMENT_HEADERS, Receipt, SIGN_IN_HEADER};
use crate::refusal::Refusal;
use crate::route::{AskedBy, Asker, Route, Verb};

/// Who comes to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Clients, whose requests are forwarded.
    Clients,
    /// A proxy that asks whether it may forward.
    Asker(Asker),
    /// Envoy, which tells of a request and of its answer, and lets both be changed.
    Processor,
}

impl From<AskedBy> for Side {
    fn from(asked_by: AskedBy) -> Self {
        match asked_by {
            AskedBy::Once(asker) => Self::Asker(asker),
            AskedBy::ExtProc => Self::Processor,
        }
    }
}

impl Side {
    /// Whether a route is served here. The two sides share none: what is free to ask about must
    /// not be free to get, and nobody's headers say what a client's own request is for.
    pub(super) fn has(self, route: &Route) -> bool {
        match self {
            Self::Clients => route.upstream.is_some(),
            Self::Asker(_) | Self::Processor => route.upstream.is_none(),
        }
    }

    /// Whether what is answered here reaches the client as it is, whatever its status.
    pub(super) fn answers_clients(self) -> bool {
        match self {
            Self::Clients | Self::Processor => true,
            Self::Asker(_) => false,
        }
    }
}

impl Gateway {
    /// Judges the request that a proxy asks about, and answers the proxy: 200 with what it has to
    /// copy, or what it has to tell its client.
    ///
    /// # Errors
    /// The proxy is gone.
    ///
    /// # Cancel safety
    /// As [`Gateway::admit`]; what was settled and not answered is still owed.
    pub(super) async fn check(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        asker: Asker,
    ) -> pingora::Result<()> {
        let carries = asker == Asker::Nginx;
        if !self.is_trusted(session) {
            return self.not_trusted(session, exchange).await;
        }
        if carries && inspect::target(session.req_header()).0 == CARRIED_PATH {
            return self.give_carried(session, exchange).await;
        }
        let came_as = session.req_header().method.clone();
        let judged = self.judge_original(session, exchange, asker).await;
        // A page is for who gets it as it is.
        let reader = if carries { Reader::Program } else { Reader::of(session.req_header()) };
        // The answer is framed for the request that came.
        session.req_header_mut().set_method(came_as);
        let refusal = match judged {
            Ok(receipts) => return answer::pass(session, exchange.told(), receipts).await,
            Err(refusal) => refusal,
        };
        if let Refusal::RequestMalformed(_) = refusal {
            session.set_keepalive(None);
        }
        let asked = exchange.asked(reader);
        let answered = match carries {
            true => answer::carried(session, &refusal, asked).await,
            false => answer::refuse(session, &refusal, asked).await,
        };
        exchange.refusal = Some(refusal);
        answered
    }

    /// Refuses what somebody asks who may not.
    ///
    /// # Errors
    /// Nobody is there to hear it.
    pub(super) async fn not_trusted(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        exchange.client = Some(self.client(session));
        exchange.fault = Some("asked by an address that `trusted_proxies` does not have".into());
        self.refuse(session, exchange, Refusal::NotTrusted).await
    }

    pub(super) fn is_trusted(&self, session: &Session) -> bool {
        let blocks = &self.settings.trusted_proxies;
        peer(session).is_some_and(|peer| blocks.iter().any(|block| block.contains(&peer)))
    }

    /// Puts the original request in the place of the one that came, and judges it as any other.
    async fn judge_original(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        asker: Asker,
    ) -> Result<Vec<Receipt>, Refusal> {
        exchange.client = Some(self.client(session));
        not_a_clients(&session.req_header().headers, asker)?;
        Original::of(session.req_header(), asker)?.put(session)?;
        let verb = Verb::of(&session.req_header().method);
        exchange.original = Some(AskedAbout { verb, status: None });
        match self.admit(session, exchange).await? {
            Admitted::Forward => self.let_pass(exchange).await,
            // 2xx would let it pass, and what the service behind says to it costs nothing there.
            Admitted::Preflight { allow } => Err(Refusal::MethodNotAllowed { allow }),
            // Neither is given on this side.
            Admitted::Page(_) | Admitted::Again(_) => Err(Refusal::NoSuchRoute),
        }
    }

    /// What was settled is used up from here on; whatever keeps that from being written down keeps
    /// the request from passing.
    async fn let_pass(&self, exchange: &mut Exchange) -> Result<Vec<Receipt>, Refusal> {
        let priced = exchange.route.as_ref().is_none_or(|route| route.charge.is_priced());
        let Some(mut prepaid) = exchange.take_prepaid() else {
            let for_nothing = !priced || exchange.bypass.is_some() || exchange.is_given();
            return if for_nothing { Ok(Vec::new()) } else { Err(Refusal::Internal) };
        };
        let receipts = std::mem::take(&mut prepaid.receipts);
        let transaction = prepaid.transaction.clone();
        match prepaid.spent().await {
            Ok(Giver::You) => Ok(receipts),
            Ok(Giver::Another) => Err(Refusal::AnswerUnderWay { transaction }),
            Err(fault) => {
                self.broke(exchange, &fault);
                let because = "that it is used up could not be recorded".into();
                Err(Refusal::PaidNotServed { transaction, because })
            }
        }
    }

    /// Gives a client the answer that its proxy was told to fetch for it.
    async fn give_carried(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        exchange.client = Some(self.client(session));
        match one(&session.req_header().headers, answer::CARRIED).ok().and_then(answer::unpacked) {
            Some(given) => answer::give(session, given).await,
            None => {
                let refusal = Refusal::RequestMalformed("there is no answer to give".into());
                self.refuse(session, exchange, refusal).await
            }
        }
    }
}

/// A request that a proxy asks about, in the bytes that the proxy has seen.
struct Original {
    method: Method,
    /// Nothing: as it came.
    host: Option<HeaderValue>,
    /// Path and query.
    target: Vec<u8>,
}

impl Original {
    /// What the headers of this kind of proxy name. No other header is looked at: a client can send
    /// all of them, and each proxy writes only its own anew.
    fn of(request: &RequestHeader, asker: Asker) -> Result<Self, Refusal> {
        let headers = &request.headers;
        let (method, host, target) = match asker {
            Asker::Nginx => {
                let (host, target) = split(one(headers, "x-original-url")?)?;
                (one(headers, "x-original-method")?, Some(host), target)
            }
            Asker::Traefik | Asker::Caddy => (
                one(headers, "x-forwarded-method")?,
                Some(one(headers, "x-forwarded-host")?),
                one(headers, "x-forwarded-uri")?,
            ),
            // It asks with the request itself, without its body.
            Asker::Envoy => (request.method.as_str().as_bytes(), None, request.raw_path()),
        };
        let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
        if !target.iter().all(plain) {
            return Err(Refusal::PathNotCanonical);
        }
        let method = Method::from_bytes(method).map_err(|_| unreadable("the original method"))?;
        let host = host.map(HeaderValue::from_bytes).transpose();
        let host = host.map_err(|_| unreadable("the original host"))?;
        Ok(Self { method, host, target: target.to_vec() })
    }

    fn put(self, session: &mut Session) -> Result<(), Refusal> {
        let request = session.req_header_mut();
        request.set_method(self.method);
        request.set_raw_path(&self.target).map_err(|_| Refusal::PathNotCanonical)?;
        let host = self.host.map_or(Ok(()), |host| request.insert_header(header::HOST, host));
        host.map_err(|_| unreadable("the original host"))
    }
}

/// Host, and path with query, of an absolute URL. What stands between has to be a host: nginx lets
/// a client put other bytes into it, and they must not become part of a path.
fn split(url: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let rest = url.strip_prefix(b"http://").or_else(|| url.strip_prefix(b"https://"));
    let rest = rest.ok_or_else(|| unreadable("X-Original-URL"))?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let (host, target) = rest.split_at(end.ok_or_else(|| unreadable("X-Original-URL"))?);
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    match !host.is_empty() && host.iter().all(fits) {
        true => Ok((host, target)),
        false => Err(unreadable("the original host")),
    }
}

/// The value of a header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        _ => Err(Refusal::RequestMalformed(
            format!("the proxy that asks has to send `{name}`, once").into(),
        )),
    }
}

/// Refuses what a client may not say to the service behind. In front of an upstream of ours it is
/// taken off; here the request is forwarded by somebody else, as it is.
fn not_a_clients(headers: &HeaderMap, asker: Asker) -> Result<(), Refusal> {
    let fits = |name: &HeaderName| match name.as_str() {
        "x-tollgate-key" => true,
        "x-original-url" => asker == Asker::Nginx,
        _ => PAYMENT_HEADERS.contains(name) || *name == SIGN_IN_HEADER,
    };
    match inspect::ours_alone(headers).into_iter().find(|name| !fits(name)) {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::RequestMalformed(format!("`{name}` is not a client's to send").into()))
        }
    }
}

fn unreadable(what: &str) -> Refusal {
    Refusal::RequestMalformed(format!("{what} cannot be read").into())
}

/// Where a proxy gets what it was told to give its client; everything else is a question.
const CARRIED_PATH: &[u8] = b"/answer";

//! `[upstreams]`: the APIs behind the gateway.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use crate::route::upstream::{Bundled, Kind, Upstream, Work};

use super::file::FileUpstream;
use super::mistake::Mistake;
use super::reader::{Reader, Section};
use super::servers::{FileServers, URLS_MAX};
use super::text::Text;
use super::units::{Megabytes, Timeout};

/// Reads all sections. One with a mistake is there as nothing.
pub(super) fn upstreams(
    typed: BTreeMap<Box<str>, Section<FileUpstream>>,
    reader: &mut Reader<'_>,
) -> BTreeMap<Box<str>, Option<Upstream>> {
    typed.into_iter().map(|(name, section)| (name, upstream(section, reader))).collect()
}

fn upstream(
    Section { span, typed }: Section<FileUpstream>,
    reader: &mut Reader<'_>,
) -> Option<Upstream> {
    let headers = reader.headers(typed.headers);
    let connect_timeout = reader.take_if(typed.connect_timeout);
    let answer_timeout = reader.take_if(typed.answer_timeout);
    let work = FileWork {
        parallel: typed.parallel,
        queue: typed.queue,
        memory: typed.memory,
        deadline: typed.deadline,
        model: typed.model,
    };
    if let (Some(http), Some(_)) = (&typed.http, &typed.bundled) {
        let meaningless = Mistake::Meaningless { key: "http", beside: "beside `bundled`" };
        reader.wrong(http.span.clone(), meaningless);
    }
    let (balance, health, tls) = (typed.balance, typed.health, typed.tls);
    let servers = FileServers { balance, health, tls };
    let kind = match (typed.url, typed.urls, typed.bundled) {
        (Some(url), None, None) => {
            work.means_nothing(reader);
            servers.read(vec![url], reader).map(Kind::Servers)
        }
        (None, Some(urls), None) => {
            work.means_nothing(reader);
            let span = urls.span();
            match urls.into_inner() {
                urls if (1..=URLS_MAX).contains(&urls.len()) => {
                    servers.read(urls, reader).map(Kind::Servers)
                }
                urls => {
                    let (count, max) = (urls.len(), URLS_MAX);
                    reader.wrong(span, Mistake::UrlCount { count, max });
                    None
                }
            }
        }
        (None, None, Some(bundled)) => {
            servers.mean_nothing(reader);
            Some(work.kind(reader.take(bundled)?, reader))
        }
        (Some(_), _, Some(bundled)) => {
            reader.wrong(bundled.span, Mistake::Both("`url`", "`bundled`"));
            None
        }
        (None, Some(_), Some(bundled)) => {
            reader.wrong(bundled.span, Mistake::Both("`urls`", "`bundled`"));
            None
        }
        (Some(_), Some(urls), None) => {
            reader.wrong(urls.span(), Mistake::Both("`url`", "`urls`"));
            None
        }
        (None, None, None) => {
            reader.wrong(span, Mistake::Neither("`url`, `urls`", "`bundled`"));
            None
        }
    };
    Some(Upstream {
        kind: kind?,
        http: reader.take_if(typed.http).unwrap_or_default(),
        headers,
        connect_timeout: connect_timeout.map_or(CONNECT_TIMEOUT, |Timeout(length)| length),
        answer_timeout: answer_timeout.map_or(ANSWER_TIMEOUT, |Timeout(length)| length),
    })
}

/// How much a bundled service takes on at once, as typed.
struct FileWork {
    parallel: Option<Spanned<NonZeroUsize>>,
    queue: Option<Spanned<NonZeroUsize>>,
    memory: Option<Text<Megabytes>>,
    deadline: Option<Text<Timeout>>,
    model: Option<Spanned<PathBuf>>,
}

impl FileWork {
    fn kind(self, service: Bundled, reader: &mut Reader<'_>) -> Kind {
        let work = Work {
            parallel: self.parallel.map(Spanned::into_inner),
            queue: self.queue.map_or(QUEUE, Spanned::into_inner),
            memory_mb: reader.take_if(self.memory).map(|Megabytes(count)| count),
            deadline: reader.take_if(self.deadline).map(|Timeout(length)| length),
            model: self.model.map(|model| reader.beside(model.get_ref())),
        };
        Kind::Bundled { service, work }
    }

    fn means_nothing(&self, reader: &mut Reader<'_>) {
        let span = |typed: &Option<Spanned<NonZeroUsize>>| typed.as_ref().map(Spanned::span);
        let found: [(&str, Option<Range<usize>>); 5] = [
            ("parallel", span(&self.parallel)),
            ("queue", span(&self.queue)),
            ("memory", self.memory.as_ref().map(|memory| memory.span.clone())),
            ("deadline", self.deadline.as_ref().map(|deadline| deadline.span.clone())),
            ("model", self.model.as_ref().map(Spanned::span)),
        ];
        for (key, span) in found {
            if let Some(span) = span {
                reader.wrong(span, Mistake::Meaningless { key, beside: "beside `url`" });
            }
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

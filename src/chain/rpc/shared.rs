//! Questions that must wait for a node are asked in one request.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Client;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::answer::{self, Reply, Unanswered};
use super::{Ask, RpcUrl};
use crate::chain::fault;
use crate::fault::Fault;

/// The way to one node. A question goes at once while few are under way; those that come
/// meanwhile leave together as soon as an answer is there.
pub(super) struct Shared {
    client: Client,
    url: RpcUrl,
    timeout: Duration,
    /// Where connections live: not on the threads of the requests, which end before them.
    home: Option<Handle>,
    line: Mutex<Line>,
}

struct Line {
    waiting: VecDeque<Waiter>,
    under_way: usize,
    takes: Takes,
}

struct Waiter {
    asks: Vec<Ask>,
    answer: oneshot::Sender<Result<Vec<Reply>, Fault>>,
}

/// How much a node takes in one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Several,
    /// It has refused several at once.
    OneEach,
}

impl Shared {
    pub(super) fn new(client: Client, url: RpcUrl, timeout: Duration) -> Self {
        let line = Line { waiting: VecDeque::new(), under_way: 0, takes: Takes::Several };
        Self { client, url, timeout, home: Handle::try_current().ok(), line: Mutex::new(line) }
    }

    pub(super) fn url(&self) -> &RpcUrl {
        &self.url
    }

    /// Asks questions that belong together: they are never in two requests.
    ///
    /// # Cancel safety
    /// They may be asked after this future is dropped.
    pub(super) async fn ask(self: &Arc<Self>, asks: &[Ask]) -> Result<Vec<Reply>, Fault> {
        let (answer, answered) = oneshot::channel();
        let carry = {
            let mut line = self.line.lock();
            line.waiting.push_back(Waiter { asks: asks.to_vec(), answer });
            line.has_room().then(|| line.under_way = line.under_way.saturating_add(1))
        };
        if carry.is_some() {
            let carrier = Arc::clone(self).carry();
            match &self.home {
                Some(home) => drop(home.spawn(carrier)),
                None => drop(tokio::spawn(carrier)),
            }
        }
        answered.await.unwrap_or_else(|_| Err(fault("the gateway is stopping")))
    }

    /// Asks what waits, until nothing does.
    async fn carry(self: Arc<Self>) {
        while let Some(company) = self.next() {
            self.exchange(company).await;
        }
    }

    fn next(&self) -> Option<Vec<Waiter>> {
        self.line.lock().next()
    }

    async fn exchange(&self, company: Vec<Waiter>) {
        let asks: Vec<Ask> = company.iter().flat_map(|waiter| &waiter.asks).cloned().collect();
        match self.send(&asks).await {
            Ok(replies) => {
                let mut replies = replies.into_iter();
                for Waiter { asks, answer } in company {
                    let _gone = answer.send(Ok(replies.by_ref().take(asks.len()).collect()));
                }
            }
            Err(Unanswered::Refused(_)) if company.len() > 1 => {
                self.line.lock().takes = Takes::OneEach;
                for Waiter { asks, answer } in company {
                    let _gone = answer.send(self.send(&asks).await.map_err(Fault::from));
                }
            }
            Err(unanswered) => {
                let fault = Fault::from(unanswered);
                let text = fault.to_string();
                for Waiter { answer, .. } in company {
                    let same = Fault::new(fault.side(), fault.retry(), "no answer");
                    let _gone = answer.send(Err(same.caused_by(text.clone())));
                }
            }
        }
    }

    async fn send(&self, asks: &[Ask]) -> Result<Vec<Reply>, Unanswered> {
        let asking = answer::exchange(&self.client, &self.url, asks);
        let late = |late| Unanswered::Silent(fault("no answer in time").caused_by(late));
        tokio::time::timeout(self.timeout, asking).await.map_err(late)?
    }
}

impl Line {
    fn has_room(&self) -> bool {
        self.under_way
            < match self.takes {
                Takes::Several => REQUESTS_MAX,
                Takes::OneEach => REQUESTS_OF_ONE_MAX,
            }
    }

    /// Those who are asked for next. When there are none, one less is under way.
    fn next(&mut self) -> Option<Vec<Waiter>> {
        let (mut company, mut count) = (Vec::new(), 0_usize);
        let count_max = match self.takes {
            Takes::Several => ASKS_MAX,
            Takes::OneEach => 1,
        };
        while let Some(next) = self.waiting.pop_front() {
            if next.answer.is_closed() {
                continue;
            }
            count = count.saturating_add(next.asks.len());
            if count > count_max && !company.is_empty() {
                self.waiting.push_front(next);
                break;
            }
            company.push(next);
        }
        if company.is_empty() {
            self.under_way = self.under_way.saturating_sub(1);
            return None;
        }
        Some(company)
    }
}

/// Requests to one node at once. Each keeps a connection and its buffers.
const REQUESTS_MAX: usize = 8;
/// Where each is one question.
const REQUESTS_OF_ONE_MAX: usize = 64;
/// Questions in one request. Public nodes take ten.
const ASKS_MAX: usize = 10;

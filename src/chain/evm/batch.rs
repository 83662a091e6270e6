//! Settlements that arrive together go out together, and each gets its own result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::fees::Fees;
use super::flight::Landed;
use super::job::{Company, Job};
use super::lane::{Flight, Lane};
use super::payment::{Call, MULTICALL3, Payment, call_for};
use super::probe::{At, Found, Probed};
use super::{Inner, Outcome, Traced};
use crate::chain::evm::Sought;
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::Fault;
use crate::x402::ErrorReason;

/// Takes jobs in and sends batches off, until nobody can bring any more.
pub(super) async fn gather(
    inner: Arc<Inner>,
    mut fresh: mpsc::Receiver<Job>,
    mut again: mpsc::UnboundedReceiver<Job>,
) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let next = tokio::select! {
                biased;
                job = again.recv() => job,
                job = fresh.recv() => job,
            };
            let Some(job) = next else { return };
            waiting.push_back(job);
        }
        // While all signers are busy, the others gather in the channel.
        let (lane, place) = inner.free_lane().await;
        while let Ok(job) = again.try_recv() {
            waiting.push_back(job);
        }
        let window = inner.bounds.batch_window.saturating_mul(lane.windows());
        inner.fill(&mut waiting, &mut fresh, window).await;
        let batch = inner.pick(&mut waiting);
        let inner = Arc::clone(&inner);
        tokio::spawn(async move { inner.run(batch, lane, place).await });
    }
}

impl Inner {
    /// A signer with room for one more transaction: the one with most room, a poor one last.
    async fn free_lane(&self) -> (Arc<Lane>, OwnedSemaphorePermit) {
        loop {
            let freed = self.all.room().notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let best = self.lanes.iter().max_by_key(|lane| {
                (lane.places_left() > 0, !self.is_low(lane), lane.places_left())
            });
            if let Some(lane) = best
                && let Some(place) = lane.place()
            {
                return (Arc::clone(lane), place);
            }
            freed.await;
        }
    }

    /// Waits for company until the batch is full or its first job has waited long enough.
    async fn fill(
        &self,
        waiting: &mut VecDeque<Job>,
        fresh: &mut mpsc::Receiver<Job>,
        window: Duration,
    ) {
        let Some(first) = waiting.front() else { return };
        let deadline = first.asked_at.checked_add(window);
        let size = self.batch_size();
        while waiting.len() < size {
            let next = match (fresh.try_recv(), deadline) {
                (Ok(job), _) => Some(job),
                (Err(_), Some(deadline)) if steady() < deadline => {
                    tokio::time::timeout_at(deadline.into(), fresh.recv()).await.ok().flatten()
                }
                (Err(_), _) => None,
            };
            let Some(job) = next else { return };
            waiting.push_back(job);
        }
    }

    /// The first job, and all those behind it that may go with it.
    fn pick(&self, waiting: &mut VecDeque<Job>) -> Vec<Job> {
        let Some(first) = waiting.pop_front() else { return Vec::new() };
        let mut batch = vec![first];
        if batch.first().is_some_and(|job| job.company == Company::None) {
            return batch;
        }
        let mut others = VecDeque::with_capacity(waiting.len());
        for job in waiting.drain(..) {
            // The events of one transaction must tell all payments in it apart.
            let twin = batch.iter().any(|with| with.payment.is_twin_of(&job.payment));
            match job.company == Company::Any && !twin && batch.len() < self.batch_size() {
                true => batch.push(job),
                false => others.push_back(job),
            }
        }
        *waiting = others;
        batch
    }

    /// Simulates a batch, sends what would succeed, and tells each job what became of it.
    pub(super) async fn run(
        self: Arc<Self>,
        batch: Vec<Job>,
        lane: Arc<Lane>,
        place: OwnedSemaphorePermit,
    ) {
        let batch: Vec<Job> = batch.into_iter().filter(|job| !job.reply.is_closed()).collect();
        let good = match self.screen(batch).await {
            Ok(good) => good,
            Err((batch, fault)) => return self.turn_away(batch, &fault, place),
        };
        let (mut jobs, mut gas) = (Vec::new(), 0_u64);
        for (job, gas_used) in good {
            let with_it = gas.saturating_add(gas_used);
            if with_it > BATCH_GAS_MAX && !jobs.is_empty() {
                self.put_back(job);
            } else if job.claim.take() {
                gas = with_it;
                jobs.push(job);
            }
        }
        if jobs.is_empty() {
            drop(place);
            return self.all.freed();
        }
        let call = call_for(&jobs.iter().map(|job| &job.payment).collect::<Vec<_>>());
        let gas = gas_limit(&call, gas, jobs.len());
        let sent = match self.fees().await {
            Ok(fees) => lane.send(&self.rpc, (call, gas, fees), place).await,
            Err(fault) => {
                drop(place);
                Err(fault)
            }
        };
        match sent {
            Ok(flight) => self.follow(flight, jobs).await,
            Err(fault) => {
                tracing::warn!(%fault, payments = jobs.len(), "a batch was not sent");
                for job in jobs {
                    job.claim.put_back();
                    job.end(Outcome::NotSent(same(&fault)));
                }
            }
        }
        self.all.freed();
    }

    fn turn_away(&self, batch: Vec<Job>, fault: &Fault, place: OwnedSemaphorePermit) {
        for job in batch {
            job.end(Outcome::NotSent(same(fault)));
        }
        drop(place);
        self.all.freed();
    }

    /// Makes the calls of a batch in order without sending them. Those that would fail are ended,
    /// those that must go alone are put back; the rest is returned, each with the gas it takes.
    async fn screen(
        self: &Arc<Self>,
        batch: Vec<Job>,
    ) -> Result<Vec<(Job, u64)>, (Vec<Job>, Fault)> {
        let found = match self.simulate(batch.iter().map(|job| &job.payment)).await {
            Ok(found) => found,
            Err(fault) => return Err((batch, fault)),
        };
        let alone = batch.len() == 1;
        let multicall = found.code_sizes.last().is_some_and(|size| *size > 0);
        self.has_multicall.store(multicall, std::sync::atomic::Ordering::Relaxed);
        let (mut good, mut results) = (Vec::new(), found.results.into_iter());
        let clock = found.timestamp;
        for (mut job, size) in batch.into_iter().zip(found.code_sizes) {
            let deployed = job.payment.deploy().and_then(|_| results.next());
            // A wallet that is there is not deployed again.
            let deployed = deployed.filter(|_| size == 0);
            let deploy_gas = deployed.map_or(0, |result| result.gas_used);
            let Some(result) = results.next() else { continue };
            let gas = result.gas_used.saturating_add(deploy_gas);
            // Somebody else's code may take any gas once it is on the chain.
            let foreign = size > 0 || job.payment.is_by_contract();
            if !alone && (foreign || !multicall) {
                self.again(job);
            } else if !result.ok {
                self.refuse(job, &result, clock).await;
            } else if gas > self.bounds.gas_max {
                job.end(Outcome::Rejected(ErrorReason::TransactionState));
            } else if size == 0 && !multicall && job.payment.deploy().is_some() {
                job.end(Outcome::Rejected(ErrorReason::Signature));
            } else {
                if size > 0 {
                    job.payment.forget_deploy();
                }
                good.push((job, gas));
            }
        }
        Ok(good)
    }

    /// The calls of payments one after the other, with the code of each payer and of Multicall3.
    pub(super) async fn simulate<'a>(
        &self,
        payments: impl Iterator<Item = &'a Payment> + Clone,
    ) -> Result<Found, Fault> {
        let payers = payments.clone().map(|payment| payment.authorization.from);
        let subjects: Vec<Address> = payers.chain([MULTICALL3]).collect();
        // One that only its settler can have moved is always alone.
        let mut alone = payments.clone();
        if let Some(payment) = alone.next()
            && let Some(settler) = payment.settler()
        {
            let (call, gas_max) = (payment.transfer(), self.bounds.gas_max);
            return self.rpc.probe_and_as((settler, &call), &[], &subjects, gas_max).await;
        }
        let calls: Vec<Call> = payments.flat_map(calls_of).collect();
        self.rpc.probe(At::Latest, &calls, &subjects, self.bounds.gas_max).await
    }

    /// Ends a job whose simulation failed at `clock`: nothing was sent, but another may have sent
    /// it.
    async fn refuse(&self, job: Job, result: &Probed, clock: u64) {
        let sought = &job.sought;
        let outcome = match result.reason() {
            ErrorReason::DuplicateSettlement => self.elsewhere(sought).await,
            // So an asset says before it looks whether the authorization is used.
            reason @ (ErrorReason::ValidBefore | ErrorReason::TransactionState) => {
                match self.reader.is_unused(sought, clock).await {
                    Ok(true) => Outcome::Rejected(reason),
                    Ok(false) => self.elsewhere(sought).await,
                    Err(fault) => Outcome::Unknown { transaction: None, fault },
                }
            }
            reason => Outcome::Rejected(reason),
        };
        job.end(outcome);
    }

    /// What became of an authorization that is used, and not by what we have sent for this job.
    ///
    /// Even if the money is there, it is not this exchange's to claim: another gateway may have
    /// served for it.
    async fn elsewhere(&self, sought: &Sought) -> Outcome {
        let used = fault("the authorization was used in another transaction");
        let (transaction, fault) = match self.reader.trace(sought).await {
            Ok(Traced::NotMoved) => return Outcome::Rejected(ErrorReason::TransactionState),
            Ok(Traced::Moved { transaction }) => (Some(transaction), used),
            Ok(Traced::Open) => (None, used),
            Err(fault) => (None, fault),
        };
        // A payer uses or cancels its own as often as it likes.
        Outcome::Unknown { transaction, fault: fault.of_one_payment() }
    }

    /// Waits for a transaction and reads from its events what became of each payment in it.
    async fn follow(self: &Arc<Self>, mut flight: Flight, jobs: Vec<Job>) {
        for job in &jobs {
            job.claim.name(flight.hash());
        }
        let landed = match self.land(&mut flight).await {
            Landed::Mined(receipt) => {
                self.deepen(&mut flight, receipt, self.bounds.confirmations).await
            }
            Landed::Overtaken => Landed::Overtaken,
        };
        let (failed, landed) = tell_moved(jobs, landed);
        if failed.is_empty() {
            return;
        }
        // A block that is taken back could still let them succeed.
        let landed = match landed {
            Landed::Mined(receipt) => {
                let depth = self.bounds.confirmations.saturating_add(FAILED_DEPTH);
                self.deepen(&mut flight, receipt, depth).await
            }
            Landed::Overtaken => Landed::Overtaken,
        };
        let alone = failed.len() == 1 && failed.iter().all(|job| job.company == Company::None);
        let (failed, landed) = tell_moved(failed, landed);
        let transaction = flight.hash();
        drop(flight);
        for job in failed {
            match &landed {
                Landed::Mined(_) => self.examine(job, alone).await,
                Landed::Overtaken => {
                    job.end(unknown(Some(transaction), "another transaction has taken its nonce"));
                }
            }
        }
    }

    /// A payment that failed in a block: it is tried once more alone, or told why.
    async fn examine(self: &Arc<Self>, job: Job, was_alone: bool) {
        let found = self.simulate(std::iter::once(&job.payment)).await;
        let (result, clock) = match found {
            Ok(found) => (found.results.into_iter().next_back(), found.timestamp),
            Err(fault) => return job.end(Outcome::Unknown { transaction: None, fault }),
        };
        match result {
            Some(result) if result.ok && !was_alone => {
                job.claim.put_back();
                self.again(job);
            }
            Some(result) if result.ok => job.end(Outcome::Rejected(ErrorReason::TransactionState)),
            Some(result) => self.refuse(job, &result, clock).await,
            None => job.end(unknown(None, "a failed payment cannot be examined")),
        }
    }

    /// Puts a job back, to go alone.
    fn again(self: &Arc<Self>, job: Job) {
        self.put_back(Job { company: Company::None, ..job });
    }

    fn put_back(self: &Arc<Self>, job: Job) {
        if job.payment.settler().is_some() {
            tokio::spawn(Arc::clone(self).run_by_settler(job));
            return;
        }
        if let Err(closed) = self.again.send(job) {
            closed.0.end(Outcome::NotSent(fault("the gateway is stopping")));
        }
    }

    async fn fees(&self) -> Result<Fees, Fault> {
        let head = self.heads.fresh().await?;
        Fees::quote(head.base_fee, head.tip, self.bounds.caps.of_payments())
            .map_err(|dear| fault("gas is too dear").caused_by(dear))
    }
}

/// Ends the jobs that a transaction has moved, and gives back the others.
fn tell_moved(jobs: Vec<Job>, landed: Landed) -> (Vec<Job>, Landed) {
    let Landed::Mined(receipt) = &landed else { return (jobs, landed) };
    let moved = receipt.moved(&jobs.iter().map(|job| &job.sought).collect::<Vec<_>>());
    let transaction = receipt.transaction;
    let mut failed = Vec::new();
    for (job, moved) in jobs.into_iter().zip(moved) {
        match moved {
            true => job.end(Outcome::Settled { transaction }),
            false => failed.push(job),
        }
    }
    (failed, landed)
}

fn calls_of(payment: &Payment) -> impl Iterator<Item = Call> + '_ {
    let deploy = payment.deploy();
    let deploy = deploy.map(|deploy| Call { to: deploy.factory, data: deploy.data.clone() });
    deploy.into_iter().chain([payment.transfer()])
}

/// What the calls took, what the transaction takes, and a fifth more.
fn gas_limit(call: &Call, calls: u64, count: usize) -> u64 {
    let bytes = u64::try_from(call.data.len()).unwrap_or(u64::MAX);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    // Counted as if EIP-7623's floor and the usual price were both due.
    let data = bytes.saturating_mul(GAS_PER_BYTE);
    let each = count.saturating_mul(GAS_EACH);
    let needed = GAS_BASE.saturating_add(data).saturating_add(each).saturating_add(calls);
    needed.saturating_add(needed / 5)
}

fn unknown(transaction: Option<B256>, context: &'static str) -> Outcome {
    Outcome::Unknown { transaction, fault: fault(context) }
}

/// One fault for many.
fn same(one: &Fault) -> Fault {
    Fault::new(one.side(), one.retry(), "a batch was not sent").caused_by(one.to_string())
}

/// Blocks below which a failure is final.
const FAILED_DEPTH: u64 = 3;
/// What the calls of several payments may take: with all that is added, less than the 2^24 that
/// one transaction may have. Source: EIP-7825.
const BATCH_GAS_MAX: u64 = 10_000_000;
const GAS_BASE: u64 = 21_000;
const GAS_PER_BYTE: u64 = 40;
/// What Multicall3 takes for each call.
const GAS_EACH: u64 = 8_000;

#[cfg(test)]
mod tests;

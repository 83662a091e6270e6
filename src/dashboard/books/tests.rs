//! Sums beside a ledger in which payments come and change.

use alloy_primitives::{Address, B256};

use super::*;
use crate::digest::Digest;
use crate::ledger::{Claim, ExchangeId, LedgerUrl, Step};
use crate::x402::{AtomicAmount, PaymentIdentity};

const BEGIN: i64 = 1_795_000_000_000 - 1_795_000_000_000 % HOUR_MS;

struct Case {
    ledger: Ledger,
    books: Books,
}

impl Case {
    async fn new() -> Self {
        let ledger = Ledger::open(&LedgerUrl::Memory).await.unwrap();
        Self { ledger, books: Books::default() }
    }

    /// A payment on a route, claimed at this time.
    async fn claims(&self, number: u64, route: &str, at: i64) -> Claim {
        let claim = Claim {
            identity: PaymentIdentity {
                network: Network::eip155(84532),
                contract: Address::repeat_byte(1).into(),
                payer: Address::repeat_byte(2).into(),
                nonce: B256::left_padding_from(&number.to_be_bytes()),
            },
            exchange: ExchangeId::new(number.into()),
            route: route.into(),
            facilitator: "dev".into(),
            asset: Address::repeat_byte(1).into(),
            amount: AtomicAmount::new(u128::from(number) * 10),
            pay_to: Address::repeat_byte(3).into(),
            valid_before: 2_000_000_000,
            sender: Digest::of(b"sender"),
        };
        self.ledger.claim(claim.clone(), UnixMillis::new(at)).await.unwrap();
        claim
    }

    async fn settles(&self, claim: Claim, at: i64) {
        let steps = [
            Step::Settling { facilitator: "dev".into(), transaction: None, amount: None },
            Step::Settled { transaction: "0x1".into() },
        ];
        for step in steps {
            let at = UnixMillis::new(at);
            self.ledger.advance(&claim.identity, claim.exchange, step, at).await.unwrap();
        }
    }

    async fn pays(&self, number: u64, route: &str, at: i64) {
        let claim = self.claims(number, route, at).await;
        self.settles(claim, at).await;
    }

    /// Hours since the beginning, routes, payments and units.
    async fn sums(&mut self, at: i64) -> Vec<(i64, String, u64, u128)> {
        self.books.read(&self.ledger, UnixMillis::new(at)).await.unwrap();
        let shown = |(heap, sum): (&Heap, &Sum)| {
            let hour = (heap.hour - BEGIN) / HOUR_MS;
            (hour, heap.route.to_string(), sum.payments, sum.units)
        };
        self.books.sums.iter().map(shown).collect()
    }
}

#[tokio::test]
async fn what_has_moved_is_added_up_by_hour_and_route() {
    let mut case = Case::new().await;
    assert_eq!(case.sums(BEGIN).await, []);
    case.pays(1, "a", BEGIN + 5).await;
    case.pays(2, "a", BEGIN + 6).await;
    case.pays(3, "b", BEGIN + HOUR_MS - 1).await;
    let open = case.claims(4, "b", BEGIN + HOUR_MS).await;
    let now = BEGIN + HOUR_MS + 60_000;
    let first = [(0, "a".to_owned(), 2, 30), (0, "b".to_owned(), 1, 30)];
    assert_eq!(case.sums(now).await, first);
    let recent: Vec<_> = case.books.recent.iter().map(|entry| entry.state).collect();
    assert_eq!(recent, [State::Held, State::Settled, State::Settled, State::Settled]);
    // What was just read is not read again; soon after it is.
    case.settles(open, now).await;
    assert_eq!(case.sums(now).await, first);
    let then = case.sums(now + 60_000).await;
    assert_eq!(then[2..], [(1, "b".to_owned(), 1, 40)]);
    assert_eq!(then[..2], first);
}

#[tokio::test]
async fn what_is_older_than_a_month_goes_and_what_was_in_doubt_comes_within_an_hour() {
    let mut case = Case::new().await;
    let late = case.claims(1, "a", BEGIN).await;
    case.pays(2, "a", BEGIN).await;
    let later = BEGIN + 5 * HOUR_MS;
    assert_eq!(case.sums(later).await, [(0, "a".to_owned(), 1, 20)]);
    case.settles(late, later).await;
    assert_eq!(case.sums(later + HOUR_MS / 2).await, [(0, "a".to_owned(), 1, 20)]);
    assert_eq!(case.sums(later + HOUR_MS).await, [(0, "a".to_owned(), 2, 30)]);
    case.pays(3, "a", later).await;
    let month = BEGIN + millis(SPAN);
    assert_eq!(case.sums(month + HOUR_MS).await, [(5, "a".to_owned(), 1, 30)]);
    assert_eq!(case.books.recent.len(), 3, "the newest are shown however old they are");
}

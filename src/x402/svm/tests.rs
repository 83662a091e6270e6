//! Payments of published clients, and for everything that a payment must be one that is not.

use serde::Deserialize;

use super::fixture::{FEE_PAYER, PAYEE, draft, due, extra, key, message, payment, pubkey};
use super::fixture::{PAYER, transaction};
use super::programs::{LIGHTHOUSE, TOKEN, TOKEN_2022};
use super::wire::{Format, Instruction, Message};
use super::*;
use crate::x402::dice::{Dice, rounds};
use crate::x402::payload::Choice;
use crate::x402::{ErrorReason as Reason, PaymentPayload, Signed};

/// A payment header as a client sent it, and who paid with it.
#[derive(Deserialize)]
struct Vector {
    source: String,
    value: String,
    payer: String,
    version: u8,
}

#[test]
fn payments_of_published_clients_are_read_and_proven() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tests/vectors/solana.json")).unwrap();
    for vector in vectors {
        let source = vector.source;
        let decoded = PaymentPayload::decode(vector.value.as_bytes()).expect(&source);
        assert_eq!(u8::from(decoded.version()), vector.version, "{source}");
        let Signed::Svm(payment) = &decoded.payment else { panic!("{source}") };
        let extra = SvmExtra { fee_payer: FACILITATOR.parse().unwrap(), memo: None };
        let due = SvmDue {
            asset: due(&extra).asset,
            pay_to: PAID.parse().unwrap(),
            amount: AtomicAmount::new(1_000),
            extra: &extra,
        };
        assert_eq!(payment.judge(&due), Ok(()), "{source}");
        assert_eq!(payment.prove(), Ok(()), "{source}");
        assert_eq!(payment.payer().to_string(), vector.payer, "{source}");
        let (transaction, _) = Transaction::decode(payment.wire()).unwrap();
        assert_eq!(transaction.encode(), payment.wire(), "{source}");
        if let Choice::V2 { pay_to, .. } = decoded.choice {
            assert_eq!(pay_to, due.pay_to, "{source}");
        }
    }
}

const FACILITATOR: &str = "FB8JyB1HPQh4WW77RMF9o4B9bcy9NJoCCSSUHfh4jhhP";
const PAID: &str = "8izNrokeuYU5o8gxzcSV5g7w1NJifoBuqXXpfYhYUueU";

/// What is said of bytes.
fn judged(bytes: &[u8], extra: &SvmExtra) -> Result<(), Reason> {
    let payment = SvmPayment::decode(bytes)?;
    payment.judge(&due(extra))?;
    payment.prove()
}

/// What is said of a good payment whose message is changed before its payer signs.
#[track_caller]
fn check(change: impl FnOnce(&mut Message), expected: Result<(), Reason>) {
    let mut changed = message(1);
    change(&mut changed);
    let found = judged(&transaction(changed).encode(), &extra());
    assert_eq!(found, expected);
}

/// A call of a program that the message did not have.
fn call(message: &mut Message, program: Pubkey, accounts: &[u8], data: &[u8]) {
    message.accounts.push(program);
    message.readonly_others += 1;
    let program = u8::try_from(message.accounts.len() - 1).unwrap();
    let (accounts, data) = (accounts.to_vec(), data.to_vec());
    message.instructions.push(Instruction { program, accounts, data });
}

#[test]
fn what_pays_is_taken() {
    check(|_| {}, Ok(()));
    check(|m| m.format = Format::Legacy, Ok(()));
    check(|m| m.instructions.truncate(3), Ok(()));
    check(|m| call(m, LIGHTHOUSE, &[2, 3], &[7]), Ok(()));
    let both = |m: &mut Message| {
        call(m, LIGHTHOUSE, &[2], &[7]);
        m.instructions.push(m.instructions[4].clone());
    };
    check(both, Ok(()));
}

#[test]
fn a_token_of_the_other_program_has_another_account() {
    let swap = |m: &mut Message| m.accounts[5] = TOKEN_2022;
    check(swap, Err(Reason::SvmRecipient));
    let moved = |m: &mut Message| {
        swap(m);
        m.accounts[3] = associated(&pubkey(PAYEE), &m.accounts[4], &TOKEN_2022);
    };
    check(moved, Ok(()));
}

#[test]
fn there_are_three_to_six_instructions() {
    check(|m| m.instructions.truncate(2), Err(Reason::SvmInstructions));
    let seven = |m: &mut Message| {
        let memo = m.instructions[3].clone();
        m.instructions.extend([memo.clone(), memo.clone(), memo]);
    };
    check(seven, Err(Reason::SvmInstructions));
}

#[test]
fn the_first_says_how_much_work_it_is() {
    let reason = Err(Reason::SvmComputeLimit);
    check(|m| m.instructions[0].data[0] = 1, reason);
    check(|m| m.instructions[0].data.truncate(4), reason);
    check(|m| m.instructions[0].data.push(0), reason);
    check(|m| m.instructions[0].program = 7, reason);
    check(|m| m.instructions.swap(0, 1), reason);
}

#[test]
fn the_second_says_what_the_work_pays() {
    let reason = Err(Reason::SvmComputePrice);
    check(|m| m.instructions[1].data[0] = 4, reason);
    check(|m| m.instructions[1].data.truncate(8), reason);
    check(|m| m.instructions[1].data.push(0), reason);
    check(|m| m.instructions[1].program = 7, reason);
    check(|m| m.instructions.swap(1, 2), reason);
    let price = |m: &mut Message, price: u64| {
        m.instructions[1].data[1..].copy_from_slice(&price.to_le_bytes());
    };
    check(|m| price(m, PRICE_MAX), Ok(()));
    check(|m| price(m, PRICE_MAX + 1), Err(Reason::SvmComputePriceTooHigh));
}

#[test]
fn the_third_is_the_transfer() {
    let reason = Err(Reason::SvmNoTransfer);
    check(|m| m.instructions[2].data[0] = 3, reason);
    check(|m| m.instructions[2].data.truncate(9), reason);
    check(|m| m.instructions[2].data.push(0), reason);
    check(|m| m.instructions[2].accounts.truncate(3), reason);
    check(|m| m.instructions[2].accounts.push(4), reason);
    check(|m| m.instructions[2].program = 7, reason);
    check(|m| m.instructions.swap(2, 3), reason);
}

#[test]
fn what_follows_is_a_memo_or_a_guard() {
    let reasons = [Reason::SvmFourth, Reason::SvmFifth, Reason::SvmSixth];
    for (at, reason) in reasons.into_iter().enumerate() {
        let strange = |m: &mut Message| {
            let memo = m.instructions[3].clone();
            m.instructions.truncate(3);
            m.instructions.extend(std::iter::repeat_n(memo, at));
            call(m, pubkey(9), &[], &[1]);
        };
        check(strange, Err(reason));
    }
}

#[test]
fn the_fee_payer_is_the_one_that_was_advertised() {
    check(|m| m.accounts[0] = pubkey(8), Err(Reason::SvmFeePayer));
}

#[test]
fn nothing_is_done_in_the_fee_payers_name() {
    check(|m| m.instructions[2].accounts[3] = 0, Err(Reason::SvmFeePayerMoves));
    check(|m| m.instructions[2].accounts[0] = 0, Err(Reason::SvmFeePayerMoves));
    check(|m| m.instructions[2].accounts[2] = 0, Err(Reason::SvmFeePayerUsed));
    check(|m| m.instructions[3].accounts.push(0), Err(Reason::SvmFeePayerUsed));
    check(|m| m.instructions[0].accounts.push(0), Err(Reason::SvmFeePayerUsed));
    check(|m| call(m, LIGHTHOUSE, &[0], &[7]), Err(Reason::SvmFeePayerUsed));
}

#[test]
fn nobody_else_has_to_sign() {
    let mut changed = message(1);
    changed.signers = 3;
    let mut more = transaction(changed);
    more.signatures.push([0; 64]);
    assert_eq!(judged(&more.encode(), &extra()), Err(Reason::SvmSigners));
}

#[test]
fn the_transfer_is_of_the_mint_to_the_payee_and_of_the_amount() {
    check(|m| m.accounts[4] = pubkey(8), Err(Reason::SvmMint));
    check(|m| m.accounts[3] = pubkey(PAYEE), Err(Reason::SvmRecipient));
    let others = |m: &mut Message| {
        m.accounts[3] = associated(&pubkey(8), &m.accounts[4], &TOKEN);
    };
    check(others, Err(Reason::SvmRecipient));
    check(|m| m.instructions[2].data[1] += 1, Err(Reason::SvmAmount));
    check(|m| m.instructions[2].data[1] -= 1, Err(Reason::SvmAmount));
    check(|m| m.instructions[2].data[8] = 1, Err(Reason::SvmAmount));
}

#[test]
fn a_memo_that_is_asked_for_is_there_once() {
    let wanted = SvmExtra { memo: Some("order 7".into()), ..extra() };
    let check = |change: fn(&mut Message), expected| {
        let mut changed = draft(&wanted, 1);
        change(&mut changed);
        assert_eq!(judged(&transaction(changed).encode(), &wanted), expected);
    };
    check(|_| {}, Ok(()));
    check(|m| m.instructions[3].data.push(b'7'), Err(Reason::SvmMemo));
    check(|m| m.instructions.truncate(3), Err(Reason::SvmMemoCount));
    check(|m| m.instructions.push(m.instructions[3].clone()), Err(Reason::SvmMemoCount));
}

#[test]
fn the_payer_has_signed_this_message() {
    let reason = Err(Reason::SvmSignature);
    let good = transaction(message(1));
    let judge = |change: fn(&mut Transaction)| {
        let mut changed = good.clone();
        change(&mut changed);
        judged(&changed.encode(), &extra())
    };
    assert_eq!(judge(|_| {}), Ok(()));
    assert_eq!(judge(|t| t.signatures[0] = [7; 64]), Ok(()), "the fee payer's is its own matter");
    assert_eq!(judge(|t| t.signatures[1][0] ^= 1), reason);
    assert_eq!(judge(|t| t.signatures[1] = [0; 64]), reason);
    assert_eq!(judge(|t| t.message.blockhash[0] ^= 1), reason);
    let other = build::signed(message(1), &key(FEE_PAYER));
    assert_eq!(judged(&other.encode(), &extra()), reason, "another key");
    check(|m| m.instructions[2].accounts[3] = 2, reason);
}

#[test]
fn a_signature_has_no_twin() {
    let mut twin = transaction(message(1));
    // The order of the curve, added to the second half: the same equation, other bytes.
    let order = alloy_primitives::uint!(
        0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed_U256
    );
    let half = alloy_primitives::U256::from_le_slice(&twin.signatures[1][32..]);
    twin.signatures[1][32..].copy_from_slice(&(half + order).to_le_bytes::<32>());
    assert_eq!(judged(&twin.encode(), &extra()), Err(Reason::SvmSignature));
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // Under the neutral element, zeros behind it are a signature of everything.
    let mut changed = message(1);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    changed.accounts[1] = Pubkey::new_from_array(neutral);
    let mut forged = transaction(changed);
    forged.signatures[1] = [0; 64];
    forged.signatures[1][0] = 1;
    assert_eq!(judged(&forged.encode(), &extra()), Err(Reason::SvmSignature));
}

#[test]
fn bytes_have_one_reading() {
    let reason = Err(Reason::SvmTransaction);
    let good = transaction(message(1)).encode();
    let judge = |bytes: &[u8]| judged(bytes, &extra());
    assert_eq!(judge(&good), Ok(()));
    for length in 0..good.len() {
        assert_eq!(judge(&good[..length]), reason, "cut off at {length}");
    }
    assert_eq!(judge(&[&good[..], &[0]].concat()), reason, "something behind it");
    assert_eq!(judge(&[&[0x82, 0], &good[1..]].concat()), reason, "a length written longer");
    assert_eq!(judge(&[&[1], &good[65..]].concat()), reason, "a signature too few");
    let mut version = good.clone();
    version[129] = 0x81;
    assert_eq!(judge(&version), reason, "another version");
    let mut long = message(1);
    long.instructions[3].data = vec![b'x'; wire::TRANSACTION_BYTES_MAX];
    assert_eq!(judge(&transaction(long).encode()), reason, "longer than a packet");
}

#[test]
fn what_no_validator_reads_is_none() {
    let reason = Err(Reason::SvmTransaction);
    check(|m| m.accounts[7] = m.accounts[6], reason);
    check(|m| m.readonly_signers = 2, reason);
    check(|m| m.readonly_others = 7, reason);
    check(|m| m.instructions[3].program = 0, reason);
    check(|m| m.instructions[3].program = 8, reason);
    check(|m| m.instructions[2].accounts[0] = 8, reason);
}

#[test]
fn lookup_tables_are_refused() {
    let mut bytes = transaction(message(1)).encode();
    *bytes.last_mut().unwrap() = 1;
    bytes.extend([5; 32]);
    bytes.extend([1, 0, 0]);
    assert_eq!(judged(&bytes, &extra()), Err(Reason::SvmLookupTables));
}

#[test]
fn the_fee_payer_signs_what_the_payer_has_signed() {
    let (one, other) = (payment(1), payment(2));
    assert_ne!(one.hash(), other.hash());
    let signed = SvmPayment::decode(&one.with_fee_payer(&[7; 64])).unwrap();
    assert_eq!((signed.hash(), signed.message()), (one.hash(), one.message()));
    assert_eq!(signed.wire()[1..65], [7; 64]);
    assert_eq!(signed.prove(), Ok(()));
    assert_eq!((one.payer(), one.fee_payer()), (pubkey(PAYER), pubkey(FEE_PAYER)));
}

/// Whatever bytes there are: they are refused, or written again as they were.
#[test]
fn random_bytes_are_refused_or_kept() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut dice = Dice::of(seed);
    let mut read = 0;
    for round in 0..u64::try_from(rounds(20_000)).unwrap() {
        let mut bytes = transaction(message(round)).encode();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len().max(1));
            let Some(_) = bytes.get(at) else { break };
            match dice.below(5) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok((transaction, _)) = Transaction::decode(&bytes) {
            assert_eq!(transaction.encode(), bytes, "SEED={seed}, round {round}");
            read += 1;
        }
        if let Ok(payment) = SvmPayment::decode(&bytes) {
            assert_eq!(payment.wire(), bytes, "SEED={seed}, round {round}");
            let signed = payment.judge(&due(&extra())).and_then(|()| payment.prove());
            let same = payment.message() == message(round).encode();
            assert!(signed.is_err() || same, "SEED={seed}, round {round}");
        }
    }
    assert!(read > 1_000, "only {read} were read: the changes are too wild");
}

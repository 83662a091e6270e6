//! When a circuit opens, who may try it, and when it closes again.

use super::breaker::TRIAL_MAX;
use alloy_primitives::Address;

use super::*;

const START: i64 = 1_700_000_000_000;

fn at(millis: i64) -> UnixMillis {
    UnixMillis::new(START + millis)
}

fn ask(health: &Health, sign: Sign, millis: i64) -> Option<Change> {
    health.enter(Question::Verify.of(PAYER), at(millis)).unwrap().over(sign, at(millis))
}

/// A fault of this payer's, if it is asked at all.
fn fault_of(health: &Health, payer: u8, millis: i64) -> Option<Change> {
    let payer = Account::from(Address::repeat_byte(payer));
    let pass = health.enter(Question::Verify.of(payer), at(millis)).ok()?;
    pass.over(Sign::FaultyFor(payer), at(millis))
}

fn is_asked_for(health: &Health, payer: u8, millis: i64) -> bool {
    health.wait(Question::Verify.of(Address::repeat_byte(payer).into()), at(millis)).is_none()
}

/// As many faults as open it.
fn fail(health: &Health, millis: i64) {
    for _ in 0..FAULTS_IN_A_ROW_MAX {
        let _change = ask(health, Sign::Faulty, millis);
    }
}

/// A circuit that has just opened, at the moment 0.
fn opened() -> Health {
    let health = Health::default();
    for _ in 1..FAULTS_IN_A_ROW_MAX {
        assert_eq!(ask(&health, Sign::Faulty, 0), None);
    }
    let change = Change { question: Question::Verify, circuit: Circuit::Open, wait: WAIT_MIN };
    assert_eq!(ask(&health, Sign::Faulty, 0), Some(change));
    health
}

#[test]
fn faults_in_a_row_open_it_for_its_own_question() {
    let health = opened();
    assert_eq!(health.enter(Question::Verify.of(PAYER), at(1)).unwrap_err(), WAIT_MIN - MILLI);
    assert_eq!(health.circuit(Question::Verify, at(1)), Circuit::Open);
    assert!(health.enter(Question::Settle.of(PAYER), at(1)).is_ok());
    assert_eq!(health.circuit(Question::Settle, at(1)), Circuit::Closed);
}

#[test]
fn a_pause_that_it_asks_for_opens_it_for_that_long_within_bounds() {
    for (asked, wait) in [(0, WAIT_MIN), (7, Duration::from_secs(7)), (3_600, WAIT_MAX)] {
        let health = Health::default();
        let change = Change { question: Question::Verify, circuit: Circuit::Open, wait };
        let pause = Sign::Pause(Duration::from_secs(asked));
        assert_eq!(ask(&health, pause, 0), Some(change));
        assert_eq!(health.wait(Question::Verify.of(PAYER), at(1)), Some(wait - MILLI));
        let after = i64::try_from(wait.as_millis()).unwrap();
        assert!(ask(&health, Sign::Well, after).is_some());
        assert_eq!(health.circuit(Question::Verify, at(after)), Circuit::Closed);
    }
}

#[test]
fn one_good_answer_ends_a_row_and_a_payments_own_trouble_does_not_count() {
    let health = Health::default();
    for _ in 0..FAULTS_LATELY_MAX - 1 {
        assert_eq!(ask(&health, Sign::Faulty, 0), None);
        assert_eq!(ask(&health, Sign::Well, 0), None);
        assert_eq!(ask(&health, Sign::Neither, 0), None);
    }
    // The sixteenth of the last 32, though never two in a row.
    assert!(ask(&health, Sign::Faulty, 0).is_some());
}

#[test]
fn faults_of_long_ago_are_forgotten() {
    let health = Health::default();
    for _ in 0..10 {
        for _ in 0..4 {
            assert_eq!(ask(&health, Sign::Faulty, 0), None);
        }
        for _ in 0..8 {
            assert_eq!(ask(&health, Sign::Well, 0), None);
        }
    }
}

#[test]
fn one_trial_at_a_time_decides() {
    let health = opened();
    assert!(health.enter(Question::Verify.of(PAYER), at(999)).is_err());
    let trial = health.enter(Question::Verify.of(PAYER), at(1_000)).unwrap();
    assert_eq!(health.circuit(Question::Verify, at(1_000)), Circuit::HalfOpen);
    assert_eq!(health.enter(Question::Verify.of(PAYER), at(1_001)).unwrap_err(), WAIT_MIN);
    let change = trial.over(Sign::Well, at(1_100)).unwrap();
    assert_eq!(change.circuit, Circuit::Closed);
    assert!(health.enter(Question::Verify.of(PAYER), at(1_101)).is_ok());
    assert_eq!(health.wait(Question::Verify.of(PAYER), at(1_101)), None);
}

#[test]
fn each_trial_that_fails_doubles_the_wait_up_to_a_bound() {
    let health = opened();
    let (mut now, mut wait) = (0, 1_000);
    for _ in 0..12 {
        now += wait;
        assert!(health.enter(Question::Verify.of(PAYER), at(now - 1)).is_err());
        ask(&health, Sign::Faulty, now);
        wait = (wait * 2).min(60_000);
        assert_eq!(
            health.wait(Question::Verify.of(PAYER), at(now)).unwrap().as_millis(),
            u128::try_from(wait).unwrap()
        );
    }
    assert_eq!(wait, 60_000);
    // Once it is well, the next trouble begins with a short wait.
    ask(&health, Sign::Well, now + wait);
    let now = now + wait;
    fail(&health, now);
    assert_eq!(health.wait(Question::Verify.of(PAYER), at(now)), Some(WAIT_MIN));
}

#[test]
fn a_trial_that_tells_nothing_makes_room_for_another() {
    let health = opened();
    drop(health.enter(Question::Verify.of(PAYER), at(1_000)).unwrap());
    assert_eq!(ask(&health, Sign::Neither, 1_000), None);
    let lost = health.enter(Question::Verify.of(PAYER), at(1_000)).unwrap();
    assert!(health.enter(Question::Verify.of(PAYER), at(60_000)).is_err());
    // One that never ends does not keep the circuit open for ever, and its word comes too late.
    let now = 1_000 + i64::try_from(TRIAL_MAX.as_millis()).unwrap();
    let second = health.enter(Question::Verify.of(PAYER), at(now)).unwrap();
    assert_eq!(lost.over(Sign::Faulty, at(now)), None);
    assert!(second.over(Sign::Well, at(now)).is_some());
}

#[test]
fn who_was_asked_before_it_opened_changes_nothing() {
    let health = Health::default();
    let early = health.enter(Question::Verify.of(PAYER), at(0)).unwrap();
    let late = health.enter(Question::Verify.of(PAYER), at(0)).unwrap();
    fail(&health, 0);
    assert_eq!(early.over(Sign::Well, at(1)), None);
    assert_eq!(late.over(Sign::Faulty, at(1)), None);
    assert_eq!(health.wait(Question::Verify.of(PAYER), at(1)), Some(WAIT_MIN - MILLI));
}

#[test]
fn a_look_beside_the_requests_comes_before_them() {
    let health = opened();
    let ahead = Duration::from_millis(300);
    assert!(!health.is_due(at(600), ahead));
    assert!(health.is_due(at(800), ahead));
    health.look(at(800), ahead);
    assert_eq!(health.wait(Question::Verify.of(PAYER), at(800)), Some(WAIT_MIN * 2));
    assert!(!health.is_due(at(1_500), ahead));
    health.is_back(at(1_600));
    assert_eq!(health.circuit(Question::Verify, at(1_600)), Circuit::HalfOpen);
    // A trial that fails although somebody was there waits longer than the look.
    ask(&health, Sign::Faulty, 1_600);
    assert_eq!(health.wait(Question::Verify.of(PAYER), at(1_600)), Some(WAIT_MIN * 4));
    let closed = Health::default();
    closed.look(at(0), ahead);
    closed.is_back(at(0));
    assert_eq!(
        (closed.is_due(at(0), ahead), closed.wait(Question::Verify.of(PAYER), at(0))),
        (false, None)
    );
}

#[test]
fn a_clock_that_is_set_back_ends_the_wait() {
    let health = opened();
    assert!(health.enter(Question::Verify.of(PAYER), at(-60_000)).is_ok());
}

#[test]
fn a_payer_whose_payments_break_it_turns_away_nobody_else() {
    let health = Health::default();
    for _ in 0..1_000 {
        assert_eq!(fault_of(&health, 1, 0), None);
        // Not even where its good payments make room for the next fault.
        assert_eq!(ask(&health, Sign::Well, 0), None);
    }
    assert!(is_asked_for(&health, 2, 0));
    assert_eq!(health.circuit(Question::Verify, at(0)), Circuit::Closed);
    // For itself it is not asked, until its own trial; that is nobody else's either.
    assert!(!is_asked_for(&health, 1, 0));
    assert!(is_asked_for(&health, 1, 1_000));
    let trial =
        health.enter(Question::Verify.of(Address::repeat_byte(1).into()), at(1_000)).unwrap();
    assert!(!is_asked_for(&health, 1, 1_000) && is_asked_for(&health, 2, 1_000));
    assert_eq!(trial.over(Sign::Well, at(1_000)), None);
    assert!(is_asked_for(&health, 1, 1_000));
}

#[test]
fn faults_of_different_payers_open_it_for_all() {
    let health = Health::default();
    for payer in 1..5 {
        assert_eq!(fault_of(&health, payer, 0), None);
        assert_eq!(fault_of(&health, payer, 0), None);
    }
    assert_eq!(fault_of(&health, 5, 0).unwrap().circuit, Circuit::Open);
    assert!(!is_asked_for(&health, 6, 0));
}

#[test]
fn a_payer_who_is_heard_already_does_not_keep_it_open() {
    let health = Health::default();
    for payer in 1..=5 {
        fault_of(&health, payer, 0);
    }
    for _ in 0..3 {
        assert_eq!(fault_of(&health, 1, 1_000), None);
        assert!(is_asked_for(&health, 6, 1_000), "the next may try");
    }
    // Another's fault is news, and then it waits again.
    fault_of(&health, 6, 1_000);
    assert_eq!(health.wait_of_everyone(Question::Verify, at(1_000)), Some(WAIT_MIN * 2));
    assert!(ask(&health, Sign::Well, 3_000).is_some());
    assert!(is_asked_for(&health, 2, 3_000));
}

#[test]
fn what_is_remembered_of_payers_is_bounded_and_forgotten() {
    let health = Health::default();
    for payer in 0..2 * u64::try_from(PAYERS_MAX).unwrap() {
        let payer = Account::from(Address::left_padding_from(&payer.to_be_bytes()));
        let pass = health.enter(Question::Settle.of(payer), at(0)).unwrap();
        // As good answers to others would, this keeps everyone's circuit closed.
        health.circuits(Question::Settle).everyone = Breaker::default();
        pass.over(Sign::FaultyFor(payer), at(0));
    }
    assert!(health.circuits(Question::Settle).payers.len() <= PAYERS_MAX);
    let health = Health::default();
    fault_of(&health, 0x77, 0);
    for _ in 0..32 {
        assert_eq!(health.circuits(Question::Verify).payers.len(), 1);
        ask(&health, Sign::Well, 0);
    }
    assert!(health.circuits(Question::Verify).payers.is_empty());
}

const PAYER: Account = Account::Evm(Address::repeat_byte(0x77));
const MILLI: Duration = Duration::from_millis(1);

//! Everything at once, for long: who pays, who leaves in between, who only asks, who attacks, who
//! listens to a stream, who sends photos, and an operator who reloads; while the gateway, its
//! worker, PostgreSQL and Redis are killed in turn.
//!
//! Afterwards what has moved on the chain, what the ledger calls settled and what clients were told
//! of are the same payments, each once, and in the last half, in which the gateway lives on, its
//! memory and its open files have not grown. `ENDURE` says for how many seconds.

mod books;
mod clients;
mod hands;
mod hostile;
mod house;
mod tally;
mod watch;

use std::time::Duration;

use crate::support::together;

use self::house::House;
use self::tally::Kind;
use self::watch::Watch;

#[tokio::test]
#[ignore = "takes five minutes: tests/run endurance"]
async fn nothing_is_lost_or_doubled_and_nothing_grows_whoever_dies() {
    let length = std::env::var("ENDURE").map_or(300, |seconds| seconds.parse().unwrap());
    let house = House::start(Duration::from_secs(length)).await;
    let load = async {
        tokio::join!(
            together((0..house::BUYERS).map(|number| clients::buys(&house, number))),
            together((0..house::LISTENERS).map(|number| clients::listens(&house, number))),
            clients::sends_photos(&house),
            clients::asks_for_nothing(&house, Kind::Free),
            clients::asks_for_nothing(&house, Kind::Unpaid),
            hostile::attacks(&house),
            hands::reloads(&house),
        )
    };
    let ((), (), watch) =
        tokio::join!(async { drop(load.await) }, hands::kills(&house), Watch::over(&house),);
    eprintln!("\n{watch}");
    let books = books::of(&house).await;
    eprintln!("{}\n{books}", house.tally.borrow().table());
    house.is_at_rest().await;
    watch.is_flat();
    books.agree();
    house.tally.borrow().is_worth_it();
}

//! Gateways behind a balancer that are replaced one after the other, as Kubernetes does it.

use tokio::task::LocalSet;

use crate::support::balancer::Balancer;
use crate::support::load::{Load, settles_slowly};
use crate::support::plan::Plan;
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::{eventually, postgres};

#[tokio::test]
async fn a_rollout_under_load_loses_nothing() {
    LocalSet::new().run_until(rolls_out()).await;
}

async fn rolls_out() {
    let (upstream, facilitator) = (Upstream::start().await, settles_slowly().await);
    let (url, redis) = (postgres::database().await, Redis::start());
    let starts = async || {
        // As long as the balancer may need to hear of it on a busy machine.
        let plan = Plan::to(upstream.address).server("grace = \"1h\"\ndrain = \"3s\"");
        plan.settled_by(&facilitator).shared(&url, &redis).start().await
    };
    let balancer = Balancer::start().await;
    let ready = async |count| {
        eventually("ready", async || (balancer.ready() == count).then_some(())).await;
    };
    let mut old = Vec::new();
    for _ in 0..2 {
        let gateway = starts().await;
        balancer.add(gateway.public, gateway.admin);
        old.push(gateway);
    }
    ready(2).await;
    let (load, mut new) = (Load::on(balancer.address), Vec::new());
    let rollout = async {
        for gateway in &mut old {
            load.goes_on_for(40).await;
            let next = starts().await;
            balancer.add(next.public, next.admin);
            ready(3).await;
            gateway.terminate();
            assert_eq!(gateway.ended().await.code(), Some(0));
            ready(2).await;
            new.push(next);
        }
        load.goes_on_for(40).await;
        load.ends();
    };
    tokio::join!(load.runs(), rollout);
    assert!(load.agrees(&facilitator, &new[0]).await > 60);
    for gateway in &old {
        let said = gateway.said();
        assert!(said.contains("stopping") && !said.contains("the grace period is over"), "{said}");
    }
}

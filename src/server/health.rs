//! Looks at the backends of an upstream, round after round.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::proxy::backends::{Backend, Turned};
use crate::proxy::probe::Prober;
use crate::proxy::upstream::Target;
use crate::route::upstream::Health;

/// Looks at all of them at once, then not for a while: however slow they are, none is looked at
/// twice at a time.
pub(super) async fn keep_looking(name: Box<str>, target: Arc<Target>, health: Health) {
    // It reads whom the system trusts, which takes milliseconds.
    let Ok(prober) = tokio::task::spawn_blocking(Prober::default).await else { return };
    let (prober, health) = (Arc::new(prober), Arc::new(health));
    loop {
        let mut looks = JoinSet::new();
        for backend in target.backends.all().iter() {
            let (target, backend) = (Arc::clone(&target), Arc::clone(backend));
            let (prober, health) = (Arc::clone(&prober), Arc::clone(&health));
            let name = name.clone();
            looks.spawn(async move { look(&name, (&prober, &health), &target, &backend).await });
        }
        // One that could not be done has changed nothing.
        while looks.join_next().await.is_some() {}
        sleep(health.every).await;
    }
}

async fn look(
    upstream: &str,
    (prober, health): (&Prober, &Health),
    target: &Target,
    backend: &Backend,
) {
    let looked = prober.look(target, backend, health).await;
    let address = backend.address;
    match (backend.checked(looked.is_ok(), health), looked.err()) {
        (Some(Turned::Out), Some(why)) => {
            tracing::warn!(upstream, %address, %why, "a backend is out: its check fails");
        }
        (Some(Turned::In), _) => tracing::info!(upstream, %address, "a backend is back in"),
        (Some(Turned::Out), None) | (None, _) => {}
    }
}

//! Whose turn it is while a pass over an app goes on: a pass over a large room takes minutes, and a
//! request of a backend does not wait for that long.

use tokio::{
    sync::{RwLock, RwLockWriteGuard},
    time::{Instant, sleep_until},
};

/// Lets the rooms of a pass do one step after another, and stops all of them between two steps. It
/// is fair: no step begins while a pause waits for those under way.
#[derive(Debug, Default)]
pub(super) struct Turns(RwLock<()>);

/// As long as it lives, no step begins.
pub(super) type Pause<'a> = RwLockWriteGuard<'a, ()>;

impl Turns {
    /// Does a step as soon as there is no pause. A step must not do another one.
    pub(super) async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        let _turn = self.0.read().await;
        step.await
    }

    /// Waits until then, and for the steps under way.
    pub(super) async fn pause_at(&self, at: Instant) -> Pause<'_> {
        sleep_until(at).await;
        self.0.write().await
    }
}

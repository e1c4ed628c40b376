//! What the sweep may cost.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{domain::UnixMillis, store::Meter};

/// What the budget of a minute allows is used as fast as DynamoDB answers: a function that waits
/// costs, too. What was not used by then is lost.
const SAVED_FOR: Duration = Duration::from_mins(1);

/// What the sweep may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many read units per second, on average over a minute.
    ReadUnitsPerSecond(NonZeroU32),
    /// One in so many parts of the time: after each step it pauses for the others.
    OneIn(NonZeroU32),
}

/// What a run has left.
#[derive(Debug)]
pub(super) struct Left {
    budget: Budget,
    /// Read units are paid for until then.
    pub(super) paid_until: UnixMillis,
    step_began: Instant,
    pub(super) read_units: f64,
}

impl Left {
    pub(super) fn new(budget: Budget, paid_until: Option<UnixMillis>, now: UnixMillis) -> Self {
        let earliest = now.before(SAVED_FOR);
        let paid_until = paid_until.unwrap_or(earliest).max(earliest);
        Self { budget, paid_until, step_began: Instant::now(), read_units: 0.0 }
    }

    /// Pays for what was done since the last call.
    pub(super) fn pay(&mut self, meter: &Meter) {
        let units = meter.take();
        self.read_units += units;
        if let Budget::ReadUnitsPerSecond(per_second) = self.budget {
            let time = Duration::from_secs_f64(units / f64::from(per_second.get()));
            self.paid_until = self.paid_until.after(time);
        }
    }

    /// Pays, and pauses if it has to. Returns whether there is something left.
    pub(super) async fn may_go_on(
        &mut self,
        meter: &Meter,
        now: UnixMillis,
        deadline: Instant,
    ) -> bool {
        self.pay(meter);
        match self.budget {
            Budget::ReadUnitsPerSecond(_) => self.paid_until < now && Instant::now() < deadline,
            Budget::OneIn(parts) => {
                let pause = self.step_began.elapsed() * (parts.get() - 1);
                sleep_until((Instant::now() + pause).min(deadline)).await;
                self.step_began = Instant::now();
                self.step_began < deadline
            }
        }
    }
}

//! Lambda: what finds no instance gets a 5xx.

use super::{
    people::{Counts, FUNCTIONS, Kind},
    stack::{LIMITS, Limit},
};
use crate::{
    measured::{CALLBACK_TAKES, INSTANCE_STARTS_AFTER},
    quotas::INSTANCES_STAY,
};

/// The instances of each function.
#[derive(Debug, Clone)]
pub(crate) struct Lambda {
    instances: [f64; FUNCTIONS],
    /// How many may start at once.
    allowance: [f64; FUNCTIONS],
}

/// What happens in a second.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// Which share of each function's callbacks finds an instance.
    pub(crate) share: [f64; FUNCTIONS],
    /// Which share of the others is refused because too many would start.
    pub(crate) by_starts: [f64; FUNCTIONS],
    /// The most instances that are busy at a time.
    pub(crate) busy: f64,
    after: Lambda,
}

impl Lambda {
    #[cfg(test)]
    pub(crate) fn new(starts: f64) -> Self {
        Self::warm(starts, &[0.0; FUNCTIONS])
    }

    /// With the instances that so many callbacks a second take.
    pub(crate) fn warm(starts: f64, callbacks: &[f64; FUNCTIONS]) -> Self {
        let instances = callbacks.map(|count| count * CALLBACK_TAKES.as_secs_f64());
        Self { instances, allowance: [starts; FUNCTIONS] }
    }

    /// A second with so many callbacks of each function, which take so many seconds each. `free` are the
    /// functions that the account may run, and `starts` those of each that may start in ten seconds.
    ///
    /// A callback that finds no idle instance starts one, until the first of these are idle again: that
    /// takes a start and a callback. Only then the rate is that of the instances.
    pub(crate) fn second(
        &self,
        callbacks: &[f64; FUNCTIONS],
        takes: &[f64; FUNCTIONS],
        free: f64,
        starts: f64,
    ) -> Served {
        // An instance reads the table before its first callback.
        let start = (INSTANCE_STARTS_AFTER + CALLBACK_TAKES).as_secs_f64();
        let mut after = self.clone();
        let (mut wanted, mut allowed, mut warm) =
            ([0.0; FUNCTIONS], [0.0; FUNCTIONS], [0.0; FUNCTIONS]);
        for f in 0..FUNCTIONS {
            let needed = callbacks[f] * takes[f];
            warm[f] = self.instances[f].min(needed);
            if needed > warm[f] {
                let without = callbacks[f] - warm[f] / takes[f];
                wanted[f] = without * (start + takes[f]).min(1.0);
            }
            allowed[f] = wanted[f].min(self.allowance[f]);
        }
        let by_allowance = allowed;
        // Warm instances are busy first.
        let all_warm: f64 = warm.iter().sum();
        let warm_share = if all_warm > free { free / all_warm } else { 1.0 };
        let all_new: f64 = allowed.iter().sum();
        let left = (free - all_warm).max(0.0);
        let new_share = if all_new > left { left / all_new } else { 1.0 };
        let mut served = Served {
            share: [1.0; FUNCTIONS],
            by_starts: [0.0; FUNCTIONS],
            busy: 0.0,
            after: self.clone(),
        };
        for f in 0..FUNCTIONS {
            allowed[f] *= new_share;
            let warm = warm[f] * warm_share;
            served.busy += warm + allowed[f];
            after.instances[f] = after.instances[f].max(0.0) + allowed[f];
            after.allowance[f] = (self.allowance[f] - allowed[f] + starts / 10.0).min(starts);
            // What is not busy ends after a while.
            let idle = after.instances[f] - warm - allowed[f];
            after.instances[f] -= idle.max(0.0) / INSTANCES_STAY.as_secs_f64();
            if callbacks[f] <= 0.0 {
                continue;
            }
            let window = (start + takes[f]).min(1.0);
            let steady = (callbacks[f] - (warm + allowed[f]) / takes[f]).max(0.0);
            let refused = (wanted[f] - allowed[f]) + (1.0 - window) * steady;
            let refused = if warm_share < 1.0 { steady.max(refused) } else { refused };
            served.share[f] = 1.0 - (refused / callbacks[f]).clamp(0.0, 1.0);
            let (starts_cut, all_cut) = (wanted[f] - by_allowance[f], wanted[f] - allowed[f]);
            served.by_starts[f] =
                if all_cut > 0.0 { (starts_cut / all_cut).clamp(0.0, 1.0) } else { 0.0 };
        }
        served.after = after;
        served
    }

    pub(crate) fn pass(&mut self, served: &Served) {
        *self = served.after.clone();
    }
}

impl Served {
    /// The requests that find an instance. Adds the others to what each limit refuses.
    pub(crate) fn get(&self, requests: &Counts, refused: &mut [Counts; LIMITS]) -> Counts {
        let mut got = *requests;
        for (number, kind) in Kind::ALL.iter().enumerate() {
            let function = kind.function();
            got[number] *= self.share[function];
            let without = requests[number] - got[number];
            let by_starts = without * self.by_starts[function];
            refused[Limit::Starts as usize][number] += by_starts;
            refused[Limit::Concurrency as usize][number] += without - by_starts;
        }
        got
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: [f64; FUNCTIONS] = [0.007; FUNCTIONS];

    /// By hand: no instance is there, and 1,000 callbacks come in the second. Until the first instance
    /// is idle, after 0.150 s for its start and 0.007 s each for its read and its callback, 164 have come,
    /// and each starts one.
    #[test]
    fn each_callback_starts_an_instance_until_the_first_is_idle() {
        let mut lambda = Lambda::new(1_000.0);
        let callbacks = [1_000.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let served = lambda.second(&callbacks, &TAKES, 1_000.0, 1_000.0);
        assert!((served.busy - 164.0).abs() < 1e-6, "{served:?}");
        assert!((served.share[0] - 1.0).abs() < 1e-9);
        // With room for 100, 64 of them find none.
        let served = lambda.second(&callbacks, &TAKES, 100.0, 1_000.0);
        assert!((served.share[0] - 0.936).abs() < 1e-9, "{served:?}");
        assert!(served.by_starts[0].abs() < 1e-9);
        // With 100 that may start, it is that limit.
        let served = Lambda::new(100.0).second(&callbacks, &TAKES, 1_000.0, 100.0);
        assert!((served.share[0] - 0.936).abs() < 1e-9, "{served:?}");
        assert!((served.by_starts[0] - 1.0).abs() < 1e-9);
        // Afterwards seven are busy.
        lambda.pass(&lambda.second(&callbacks, &TAKES, 1_000.0, 1_000.0));
        let served = lambda.second(&callbacks, &TAKES, 1_000.0, 1_000.0);
        assert!((served.busy - 7.0).abs() < 1e-6, "{served:?}");
    }

    /// The play of single callbacks says the same: 10,000 a second, of four functions, out of nothing.
    #[test]
    fn counts_agree_with_the_play_of_single_callbacks() {
        assert!((CALLBACK_TAKES.as_secs_f64() - TAKES[0]).abs() < 1e-9);
        let callbacks = [2_500.0, 2_500.0, 2_500.0, 2_500.0, 0.0, 0.0];
        let served = Lambda::new(1_000.0).second(&callbacks, &TAKES, 1_000.0, 1_000.0);
        let refused: f64 =
            callbacks.iter().zip(served.share).map(|(count, share)| count * (1.0 - share)).sum();
        let played = crate::outage::start(10_000, 1_000.0);
        assert!((refused - played).abs() < 0.01 * played, "{refused} and {played}");
    }
}

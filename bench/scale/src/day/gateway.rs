//! API Gateway: what comes too fast gets a 429.

use super::{
    people::{Counts, FUNCTIONS, KINDS, Kind},
    stack::Stack,
};

/// A bucket of tokens: so many a second, and so many at once.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
}

impl Bucket {
    /// Which share of the requests of a second gets through.
    fn take(&mut self, requests: f64, rate: f64, burst: f64) -> f64 {
        if rate.is_infinite() {
            return 1.0;
        }
        let there = self.tokens + rate;
        let through = requests.min(there);
        self.tokens = (there - through).min(burst);
        if requests > 0.0 { through / requests } else { 1.0 }
    }
}

#[derive(Debug)]
pub(crate) struct Gateway {
    account: Bucket,
    routes: [Bucket; FUNCTIONS],
}

/// What gets through, and what a route's limit and the account's refuse.
#[derive(Debug)]
pub(crate) struct Through {
    pub(crate) requests: Counts,
    pub(crate) by_route: Counts,
    pub(crate) by_account: Counts,
}

impl Gateway {
    pub(crate) fn new(stack: &Stack) -> Self {
        let full = |tokens: f64| Bucket { tokens };
        let routes = std::array::from_fn(|_| full(stack.route_rate));
        Self { account: full(stack.gateway_burst), routes }
    }

    pub(crate) fn take(&mut self, stack: &Stack, arrived: &Counts) -> Through {
        let mut of_routes = [0.0; FUNCTIONS];
        for (kind, count) in Kind::ALL.iter().zip(arrived) {
            of_routes[kind.function()] += count;
        }
        let shares: [f64; FUNCTIONS] = std::array::from_fn(|route| {
            // Burst and rate of a route are the same (decision 160).
            self.routes[route].take(of_routes[route], stack.route_rate, stack.route_rate)
        });
        let asked: f64 = of_routes.iter().zip(shares).map(|(count, share)| count * share).sum();
        let account = self.account.take(asked, stack.gateway_rate, stack.gateway_burst);
        let mut through =
            Through { requests: [0.0; KINDS], by_route: [0.0; KINDS], by_account: [0.0; KINDS] };
        for (number, kind) in Kind::ALL.iter().enumerate() {
            let of_route = arrived[number] * shares[kind.function()];
            through.by_route[number] = arrived[number] - of_route;
            through.by_account[number] = of_route * (1.0 - account);
            through.requests[number] = of_route * account;
        }
        through
    }
}

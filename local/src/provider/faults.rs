//! What goes wrong between a provider's server and whom it answers, and what it says that is not
//! true.

use clap::ValueEnum;

/// How often a request fails, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// How many percent of the requests fail.
    pub percent: f64,
    /// In which ways, one of them each time.
    pub kinds: Vec<Fault>,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// HTTP status 503 with a page of HTML.
    Status,
    /// HTTP status 200 with the provider's code of an internal error.
    Code,
    /// HTTP status 200 with JSON that breaks off.
    Json,
    /// No answer at all.
    Hang,
}

/// What an answer says that is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lie {
    /// Nobody is in, nobody is online.
    EverybodyOut,
    /// Everybody who is asked about is in, or online.
    EverybodyIn,
    /// The room does not exist.
    UnknownRoom,
    /// Everybody logged in at 0.
    LoginAtZero,
    /// Everybody logged in 40 days from now.
    LoginInFuture,
    /// The answer is about other people than the question.
    OtherUsers,
    /// The answer is about another room than the question.
    OtherRoom,
    /// The list of a room's people is empty. Asked by name, they are in.
    EmptyList,
}

/// How far ahead a login is that is in the future.
pub(super) const FUTURE_MS: u64 = 40 * 24 * 60 * 60 * 1000;

impl Default for Faults {
    fn default() -> Self {
        Self { percent: 0.0, kinds: vec![Fault::Status, Fault::Code, Fault::Json] }
    }
}

impl Faults {
    /// How this request fails, if it does.
    pub(super) fn strike(&self, random: &mut fastrand::Rng) -> Option<Fault> {
        let strikes = random.f64() * 100.0 < self.percent;
        if strikes { random.choice(self.kinds.iter().copied()) } else { None }
    }
}

impl Lie {
    /// The id that an answer has for a user.
    pub(super) fn name(lie: Option<Self>, user: &str) -> String {
        if lie == Some(Self::OtherUsers) { format!("{user}-not") } else { user.to_owned() }
    }
}

//! A history: what people do, and how the callbacks about it arrive. It is random, and it can be
//! written down and read again.

use std::{fmt, str::FromStr};

use proptest::prelude::*;
use rollcall_players::world::{ACTS, Step};

/// How a callback arrives: each sending's delay in ms; none if it never comes.
pub(super) type Fate = Vec<u64>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    pub(super) steps: Vec<Step>,
    /// Of the callbacks, in the order of the reports; those beyond arrive once and at once.
    pub(super) fates: Vec<Fate>,
    /// How many handlers work at the same time.
    pub(super) at_once: usize,
    /// The seed of the order in which they do.
    pub(super) seed: u64,
    /// Whether handlers die and answers of the store are lost.
    pub(super) has_faults: bool,
    /// How long after the last arrival the queries are sent, in ms.
    pub(super) asks_after: u64,
}

impl History {
    pub(super) fn fate(&self, reported: usize) -> &[u64] {
        self.fates.get(reported).map_or(&[0], Vec::as_slice)
    }
}

/// What kind of history: of which providers, and whether anything is lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// What the names of acts begin with: one of these words, or anything.
    pub(super) acts: &'static str,
    pub(super) loses: bool,
}

pub(super) fn histories(kind: Kind) -> impl Strategy<Value = History> {
    let is_asked = move |name: &str| {
        kind.acts.is_empty() || kind.acts.split(' ').any(|word| name.starts_with(word))
    };
    let acts = ACTS.into_iter().filter(move |(_, name, _)| is_asked(name));
    let act = prop::sample::select(
        acts.flat_map(|(act, _, weight)| std::iter::repeat_n(act, weight as usize))
            .collect::<Vec<_>>(),
    );
    let wait = prop_oneof![
        8 => Just(0_u64),
        4 => 1..3_u64,
        4 => 3..5000_u64,
        1 => 5000..1_500_000_u64,
    ];
    let delay = prop_oneof![
        4 => Just(0_u64),
        2 => 0..3_u64,
        2 => 0..5000_u64,
        1 => 0..300_000_u64,
    ];
    let fate = prop_oneof![
        70 => prop::collection::vec(delay.clone(), 1),
        15 => prop::collection::vec(delay, 2..5),
    ];
    // Without a loss it is not an alternative of weight 0: shrinking would come to that.
    let fate = if kind.loses {
        prop_oneof![15 => Just(Vec::new()), 85 => fate].boxed()
    } else {
        fate.boxed()
    };
    // Few people in few rooms meet more often; many steps of one person fill their seat.
    let size = prop_oneof![
        4 => (1..4_usize, 1..3_usize, 1..25_usize),
        1 => (1..6_usize, 1..4_usize, 20..50_usize),
        1 => (1..2_usize, 1..2_usize, 30..70_usize),
    ];
    size.prop_flat_map(move |(users, places, length)| {
        let step = (wait.clone(), act.clone(), 0..users, 0..places, 0..64_u8)
            .prop_map(|(wait, act, user, place, how)| Step { wait, act, user, place, how });
        (
            prop::collection::vec(step, 1..=length),
            prop::collection::vec(fate.clone(), 0..=2 * length),
            1..7_usize,
            any::<u64>(),
            prop::bool::weighted(0.3),
            prop_oneof![3 => Just(0_u64), 1 => 0..4_000_000_u64],
        )
    })
    .prop_map(|(steps, fates, at_once, seed, has_faults, asks_after)| History {
        steps,
        fates,
        at_once,
        seed,
        has_faults,
        asks_after,
    })
}

/// One line of how it is delivered, one with the fates (`0,300` for two sendings, `x` for none), then
/// a line for each step: wait, act, user, place, how.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_once, seed, has_faults, asks_after, .. } = self;
        writeln!(f, "at-once {at_once} seed {seed} faults {has_faults} asks-after {asks_after}")?;
        write!(f, "fates")?;
        for fate in &self.fates {
            let delays: Vec<String> = fate.iter().map(ToString::to_string).collect();
            write!(f, " {}", if delays.is_empty() { "x".to_owned() } else { delays.join(",") })?;
        }
        for Step { wait, act, user, place, how } in &self.steps {
            let (_, name, _) = ACTS.iter().find(|(known, _, _)| known == act).unwrap();
            write!(f, "\n+{wait} {name} {user} {place} {how}")?;
        }
        Ok(())
    }
}

impl FromStr for History {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fn read<T: FromStr>(word: Option<&str>) -> Result<T, String> {
            let word = word.ok_or("a line is too short")?;
            word.parse().map_err(|_| format!("{word} is no such thing"))
        }
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut line = || lines.next().map(str::split_whitespace);
        let mut delivery = line().ok_or("there is nothing")?;
        let mut value = |name: &str| {
            (delivery.next() == Some(name))
                .then(|| delivery.next())
                .ok_or(format!("{name} is missing"))
        };
        let at_once = read(value("at-once")?)?;
        let seed = read(value("seed")?)?;
        let has_faults = read(value("faults")?)?;
        let asks_after = read(value("asks-after")?)?;
        let mut words = line().ok_or("there are no fates")?;
        if words.next() != Some("fates") {
            return Err("there are no fates".to_owned());
        }
        let fates = words.map(|word| match word {
            "x" => Ok(Vec::new()),
            delays => delays.split(',').map(|delay| read(Some(delay))).collect(),
        });
        let fates = fates.collect::<Result<_, String>>()?;
        let mut steps = Vec::new();
        while let Some(mut words) = line() {
            let wait = read(words.next().and_then(|word| word.strip_prefix('+')))?;
            let name = words.next().unwrap_or_default();
            let (act, _, _) = *ACTS.iter().find(|act| act.1 == name).ok_or("no such act")?;
            let (user, place) = (read(words.next())?, read(words.next())?);
            steps.push(Step { wait, act, user, place, how: read(words.next())? });
        }
        Ok(Self { steps, fates, at_once, seed, has_faults, asks_after })
    }
}

//! The tables of docs/scale.md, as Markdown.

use std::fmt::Write;

use super::{
    cost, limits,
    people::{HOUR, Kind, MINUTE, People, Sender},
    play::Played,
    second::{Phase, Second},
    stack::{Limit, Stack},
};
use crate::{
    drain::Shown,
    quotas::{MESSAGES_IN_FLIGHT, NEW_ACCOUNT_CONCURRENCY},
};

/// A number with its thousands apart.
pub(crate) fn number(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// To three digits, as precise as the search is.
fn rounded(people: f64) -> String {
    let unit = 10f64.powf(people.log10().floor() - 2.0);
    number((people / unit).round() * unit)
}

fn clock(second: usize) -> String {
    format!("{:02}:{:02}", second / HOUR % 24, second % HOUR / MINUTE)
}

/// What happens in each part of a day.
pub(crate) fn day(played: &Played) -> String {
    let mut text = String::from(
        "| from | | callbacks | sent at most in a second | functions busy at most | stored at once | to the queue | refused | because of, each with its number | lost |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: | --- | --: |\n",
    );
    for (place, phase) in Phase::ALL.into_iter().enumerate() {
        let sum = played.of(phase);
        let limited = played.limited[place].iter();
        let limits: Vec<String> = Limit::ALL
            .iter()
            .zip(limited)
            .filter(|(_, count)| **count >= 0.5)
            .map(|(limit, count)| format!("{} {}", limit.name(), number(*count)))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            clock(phase.seconds().start),
            phase.name(),
            number(sum.callbacks),
            number(played.peak(phase)),
            number(sum.busy.ceil()),
            number(sum.stored),
            number(sum.queued),
            number(sum.refused),
            limits.join(", "),
            number(sum.lost),
        );
    }
    text
}

/// When the queue is empty again.
pub(crate) fn drains(stack: &Stack, played: &Played) -> String {
    let mut text = String::new();
    for (end, after) in &played.drains.ends {
        let _ = writeln!(text, "- The queue is empty at {}, after {}.", clock(*end), Shown(*after));
    }
    let left = Second::sum(&played.seconds);
    let _ = writeln!(
        text,
        "- At midnight it holds {}. At most {} messages were in flight.\n  They are never more than {} \
         with this `DrainConcurrency`, and SQS allows {}.",
        number(left.queued - left.drained),
        number(played.drains.most_in_flight as f64),
        number(stack.replay.most_in_flight()),
        number(MESSAGES_IN_FLIGHT as f64),
    );
    text
}

/// Whose callbacks were sent again, and whose are lost.
pub(crate) fn senders(days: &[(&str, &Played)]) -> String {
    let mut text = String::from("| | callbacks |");
    let mut line = String::from("| --- | --: |");
    for (name, _) in days {
        let _ = write!(text, " {name}: sent again | lost |");
        line.push_str(" --: | --: |");
    }
    let _ = writeln!(text, "\n{line}");
    for sender in Sender::ALL {
        let of = |counts: &[f64]| {
            let all = Kind::ALL.iter().zip(counts).filter(|(kind, _)| kind.sender() == sender);
            number(all.map(|(_, count)| count).sum())
        };
        let _ = write!(text, "| {} | {} |", sender.name(), of(&days[0].1.callbacks));
        for (_, played) in days {
            let _ = write!(text, " {} | {} |", of(&played.again), of(&played.lost));
        }
        text.push('\n');
    }
    text
}

/// What becomes of what is above a limit, and what to change.
fn advice(limit: Limit) -> (&'static str, &'static str) {
    let refused = "is refused: OpenIM's and Chat's are lost, the others are sent again";
    match limit {
        Limit::Gateway => (refused, "the quota of API Gateway"),
        Limit::Route => (refused, "`ZegoRequestsPerSecond` and so on"),
        Limit::Concurrency => (refused, "the quota of Lambda"),
        Limit::Starts => (
            "is refused, for a sixth of a second: the same",
            "nothing in the stack, and no quota. Let people in over some seconds",
        ),
        Limit::RoomShards => ("of this room goes to the queue", "`RoomShards`, `LargeRooms`"),
        Limit::WarmIndex => ("of all rooms goes to the queue", "`IndexWarmThroughput`"),
        Limit::WarmTable => ("goes to the queue", "`TableWarmThroughput`"),
        Limit::IndexQuota => {
            ("of all rooms goes to the queue", "the quota of DynamoDB for an index")
        }
        Limit::TableQuota => ("goes to the queue", "the quota of DynamoDB for a table"),
        Limit::Events => ("is an event that is late", "the quota of EventBridge"),
    }
}

/// With how many people each limit is hit, in order.
pub(crate) fn limits(stack: &Stack, prepared: &Stack) -> String {
    let mut text = String::from(
        "| people | callbacks in the peak second | the limit | what is above it | what to change | people when it is changed |\n\
         | --: | --: | --- | --- | --- | --: |\n",
    );
    let mut row = |people: Option<People>, name: &str, limit: Limit, after: String| {
        let Some(people) = people else { return };
        let (above, change) = advice(limit);
        let peak = people.most_callbacks();
        let _ = writeln!(
            text,
            "| {} | {} | {name} | {above} | {change} | {after} |",
            rounded(people.0),
            rounded(peak),
        );
    };
    let new = Stack { concurrency: NEW_ACCOUNT_CONCURRENCY, ..*stack };
    row(
        limits::people(&new, Limit::Concurrency),
        "Lambda's concurrency of a new account, 10",
        Limit::Concurrency,
        limits::people(stack, Limit::Concurrency)
            .map_or_else(String::new, |people| rounded(people.0)),
    );
    for (limit, people) in limits::in_order(stack) {
        let after = limits::people(prepared, limit);
        let after = after.map_or_else(|| "-".to_owned(), |people| rounded(people.0));
        let name = format!("{}, {}", limit.name(), amount(stack, limit));
        row(people, &name, limit, after);
    }
    text
}

/// How much of a limit there is.
fn amount(stack: &Stack, limit: Limit) -> String {
    match limit {
        Limit::Gateway => format!("{}/s", number(stack.gateway_rate)),
        Limit::Route => format!("{}/s", number(stack.route_rate)),
        Limit::Concurrency => number(stack.concurrency),
        Limit::Starts => format!("{} in 10 s of each function", number(stack.starts)),
        Limit::RoomShards => number(stack.room_shards),
        Limit::WarmIndex => format!("{} units/s", number(stack.warm_index)),
        Limit::IndexQuota => format!("{} units/s", number(stack.index_quota)),
        Limit::WarmTable => format!("{} units/s", number(stack.warm_table)),
        Limit::TableQuota => format!("{} units/s", number(stack.table_quota)),
        Limit::Events => format!("{}/s", number(stack.events)),
    }
}

/// What a day costs.
pub(crate) fn costs(days: &[(&str, &Stack, &Played)], people: People) -> String {
    let mut text = String::from("| a day |");
    let mut line = String::from("| --- |");
    for (name, ..) in days {
        let _ = write!(text, " {name} |");
        line.push_str(" --: |");
    }
    let _ = writeln!(text, "\n{line}");
    let of: Vec<_> =
        days.iter().map(|(_, stack, played)| cost::of(played, stack, people)).collect();
    for (place, (name, _)) in of[0].iter().enumerate() {
        let _ = write!(text, "| {name} |");
        for costs in &of {
            let _ = write!(text, " {:.2} $ |", costs[place].1);
        }
        text.push('\n');
    }
    text.push_str("| **together** |");
    for costs in &of {
        let _ = write!(text, " **{:.2} $** |", costs.iter().map(|(_, cost)| cost).sum::<f64>());
    }
    text.push_str("\n| of which the queue and `spill-replay` |");
    for (_, stack, played) in days {
        let _ = write!(text, " {:.2} $ |", cost::of_queue(played, stack));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(number(999.4), "999");
        assert_eq!(number(1_000.0), "1,000");
        assert_eq!(number(12_345_678.0), "12,345,678");
        assert_eq!(rounded(229_871.0), "230,000");
        assert_eq!(rounded(9_456.0), "9,460");
    }
}

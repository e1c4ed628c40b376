//! A day of one million people: an hour without DynamoDB, and a room of 500,000 that fills and empties in
//! a minute. Where is the first limit, how many callbacks are lost, and what does the day cost?
//!
//! | module | contents |
//! | --- | --- |
//! | [`people`] | what they do, and who sends which callbacks, and sends them again |
//! | [`stack`] | quotas and parameters: by default, and as the checklist advises |
//! | [`gateway`], [`lambda`], [`store`] | what each of the three lets through in a second |
//! | [`play`], [`second`] | the day, second by second |
//! | [`drains`] | what went to the queue, by [`crate::drain`] |
//! | [`limits`] | with how many people each limit is hit, by search |
//! | [`cost`], [`tables`], [`picture`] | what it costs, the tables and the picture |

mod cost;
mod drains;
mod gateway;
mod lambda;
mod limits;
mod people;
mod picture;
mod play;
mod second;
mod stack;
mod store;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use people::People;
use stack::Stack;

const PEOPLE: People = People(1_000_000.0);

/// The tables, as Markdown, and the picture.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tables: String,
    pub(crate) picture: String,
}

/// Plays the day, by default and prepared.
pub(crate) fn report() -> Report {
    let (default, prepared) = (Stack::by_default(), Stack::prepared());
    let (by_default, as_advised) = (play::play(&default, PEOPLE), play::play(&prepared, PEOPLE));
    let mut tables = format!("### The limits\n\n{}", tables::limits(&default, &prepared));
    let days = [("all defaults", &default, &by_default), ("prepared", &prepared, &as_advised)];
    for (name, stack, played) in days {
        let (day, drains) = (tables::day(played), tables::drains(stack, played));
        let _ = write!(tables, "\n### The day, {name}\n\n{day}\n{drains}");
    }
    let played = days.map(|(name, _, played)| (name, played));
    let _ = write!(tables, "\n### What is lost\n\n{}", tables::senders(&played));
    let _ = write!(tables, "\n### The cost\n\n{}", tables::costs(&days, PEOPLE));
    let picture = picture::svg((&default, &by_default), (&prepared, &as_advised));
    Report { tables, picture }
}

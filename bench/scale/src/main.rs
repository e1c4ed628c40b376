//! Plays simulations in virtual time, and prints a table for each.
//!
//! - [`outage`]: how many functions are busy while DynamoDB hangs, and how many callbacks find none.
//! - [`drain`]: how long the spill queue needs to run empty after an outage.
//! - [`day`]: a day of one million people. Its tables and its picture are written into `docs/`.
//!
//! A new one is a module with a `report`, and a line in `main`. The numbers that all of them use are in
//! [`quotas`] and [`prices`] (AWS's) and [`measured`] (ours), each with its source.

mod day;
mod document;
mod drain;
mod events;
mod measured;
mod outage;
mod prices;
mod quotas;
mod table;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", outage::report());
    println!("{}", drain::report());
    let day = day::report();
    println!("{}", day.tables);
    Ok(document::write(&day)?)
}

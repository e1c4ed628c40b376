//! Plays simulations in virtual time, and prints a table for each.
//!
//! - [`outage`]: how many functions are busy while DynamoDB hangs, and how many callbacks find none.
//! - [`drain`]: how long the spill queue needs to run empty after an outage.
//!
//! A new one is a module with a `report`, and a line in `main`. The numbers that all of them use are in
//! [`quotas`] (AWS's) and [`measured`] (ours), each with its source.

mod drain;
mod events;
mod measured;
mod outage;
mod quotas;
mod table;

fn main() {
    println!("{}", outage::report());
    println!("{}", drain::report());
}

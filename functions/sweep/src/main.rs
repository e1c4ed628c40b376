//! Takes rooms in which nobody is off the list of live rooms, and counts the others.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_sweep()
}

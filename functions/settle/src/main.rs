//! Checks rooms in which nothing has changed for a while.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_settle()
}

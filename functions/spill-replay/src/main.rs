//! Stores changes that could not be stored when they arrived.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_spill_replay()
}

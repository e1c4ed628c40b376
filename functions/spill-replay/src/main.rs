//! Stores what could not be stored when it came.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_spill_replay()
}

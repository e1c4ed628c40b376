//! Asks the providers who is really there, and stores where they disagree with the records.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_reconcile()
}

//! Sends each new fact in the table's stream as an event.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_relay()
}

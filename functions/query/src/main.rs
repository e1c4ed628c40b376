//! Who is online, and who is in this room: the answers to a backend's queries.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_query()
}

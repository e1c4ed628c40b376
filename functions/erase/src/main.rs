//! Erases what is stored about a person.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_erase()
}

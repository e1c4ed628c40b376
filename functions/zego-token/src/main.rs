//! ZEGO's token04: mints and verifies login tickets.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_zego_token()
}

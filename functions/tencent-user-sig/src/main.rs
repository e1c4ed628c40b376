//! Tencent's UserSig: mints and verifies login tickets.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_user_sig()
}

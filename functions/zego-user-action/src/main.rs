//! ZEGOCLOUD `user_action`.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::UserAction>()
}

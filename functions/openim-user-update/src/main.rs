//! OpenIM `callbackAfterUpdateUserInfoCommand` and `...ExCommand`: a user's profile was updated.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::UserUpdate>()
}

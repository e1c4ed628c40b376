//! OpenIM `callbackAfterUserOnlineCommand`: a device came online, or still is.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::UserOnline>()
}

//! OpenIM `callbackAfterUserOfflineCommand`: a device went offline.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::UserOffline>()
}

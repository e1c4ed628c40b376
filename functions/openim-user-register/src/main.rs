//! OpenIM `callbackAfterUserRegisterCommand`: users were registered.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::UserRegister>()
}

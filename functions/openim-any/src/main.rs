//! OpenIM: whatever API Gateway cannot route by its path.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::Any>()
}

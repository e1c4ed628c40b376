//! OpenIM: all webhooks that API Gateway cannot route by their path.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::openim::Any>()
}

//! Tencent Chat `State.StateChange`: a device came online or went offline.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::tencent::ChatState>()
}

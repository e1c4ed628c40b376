//! RoomEngine's and Live's events: a room was created or destroyed, people came or left.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::tencent::RoomEvent>()
}

//! ZEGOCLOUD `room_logout`: somebody left a room.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::RoomLogout>()
}

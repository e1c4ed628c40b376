//! ZEGOCLOUD `room_create`: a life of a room began.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::RoomCreate>()
}

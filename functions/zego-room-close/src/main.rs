//! ZEGOCLOUD `room_close`: a life of a room ended.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::RoomClose>()
}

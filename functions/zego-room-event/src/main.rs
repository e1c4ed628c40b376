//! ZEGOCLOUD `room_event`.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::RoomEvent>()
}

//! ZEGOCLOUD `room_login`: somebody entered a room.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::zego::RoomLogin>()
}

//! TRTC room events: a room was created or dismissed, somebody entered, left or changed role.

fn main() -> Result<(), rollcall::runtime::Error> {
    rollcall::runtime::run_callback::<rollcall::providers::tencent::TrtcEvent>()
}

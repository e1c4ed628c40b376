//! In which order rooms are asked about.

use std::cmp::Reverse;

use crate::{domain::UnixMillis, store::LiveRoom};

/// Sorts rooms: first those of which a late event is known since their last pass, then those that
/// were not asked about for the longest time. Rooms that a pass began to ask about at `since` or
/// later are left out.
pub(super) fn sort(rooms: &mut Vec<LiveRoom>, since: UnixMillis) {
    rooms.retain(|room| room.passed_at.is_none_or(|passed| passed < since));
    rooms.sort_by_cached_key(|room| (Reverse(is_broken(room)), room.passed_at, room.row.clone()));
}

/// Whether a late event may have made the room's roster wrong since its last pass. The time of a late
/// event is known to some minutes, and may be earlier than the event by [`crate::store::MARKED_FOR`].
fn is_broken(room: &LiveRoom) -> bool {
    room.late_at.is_some_and(|late| {
        room.passed_at.is_none_or(|passed| late.after(crate::store::MARKED_FOR) > passed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, late_at: Option<u64>, passed_at: Option<u64>) -> LiveRoom {
        LiveRoom {
            row: name.to_owned(),
            room: name.parse().unwrap(),
            last_at: UnixMillis(1),
            late_at: late_at.map(UnixMillis),
            passed_at: passed_at.map(UnixMillis),
        }
    }

    #[test]
    fn rooms_with_late_events_come_first_and_then_those_longest_unchecked() {
        let mut rooms = vec![
            room("just passed", Some(990_000), Some(1_000_000)),
            room("newer", None, Some(900_000)),
            room("never", None, None),
            room("older", None, Some(800_000)),
            room("late long before its pass", Some(100_000), Some(700_000)),
            room("late after its pass", Some(950_000), Some(940_000)),
            room("late about the time of its pass", Some(800_000), Some(950_000)),
            room("late and never passed", Some(1), None),
        ];
        sort(&mut rooms, UnixMillis(1_000_000));
        let order: Vec<&str> = rooms.iter().map(|room| room.room.as_str()).collect();
        assert_eq!(
            order,
            [
                "late and never passed",
                "late after its pass",
                "late about the time of its pass",
                "never",
                "late long before its pass",
                "older",
                "newer",
            ]
        );
    }
}

//! From the marks on a seat to the visits they tell of.

use std::collections::BTreeMap;

use crate::domain::{Ending, Kind, Mark, SessionId, Visit};

/// The visits to one seat, oldest first.
///
/// The newest session is the one of the newest mark, by `login_time` and `session_id`. Within a
/// session the higher `user_update_seq` speaks, so that a relogin may keep its session. The person
/// is in if the newest mark is a login and no logout of that session has its sequence or a higher
/// one. In every older session they are out, whether or not its logout ever came.
#[must_use]
pub fn visits(marks: &[Mark]) -> Vec<Visit> {
    let Some(newest) = marks.iter().max() else { return Vec::new() };
    let mut by_session = BTreeMap::<&SessionId, Vec<&Mark>>::new();
    for mark in marks {
        by_session.entry(&mark.order.session).or_default().push(mark);
    }
    let mut sessions: Vec<_> = by_session.into_values().collect();
    sessions.sort_by_key(|marks| marks.iter().copied().max());

    let mut visits = Vec::new();
    for index in 0..sessions.len() {
        let mut session = walk(&sessions[index]);
        if let Some(open) = session.last_mut().filter(|visit| visit.ending.is_none()) {
            let began = |marks: &Vec<&Mark>| marks.iter().map(|mark| mark.order.time).min();
            match sessions.get(index + 1).and_then(began) {
                Some(at) => open.ending = Some(Ending::Superseded { at: at.max(open.entered_at) }),
                // The newest mark is a logout, though a login of an earlier time has a higher
                // sequence. The provider contradicts itself; the newest mark speaks, as it does
                // in the index.
                None if newest.kind == Kind::Leave => open.ending = Some(left(newest)),
                None => {}
            }
        }
        visits.append(&mut session);
    }
    visits
}

/// The visits of one session, by the provider's sequence. Only the last one can be open.
fn walk(session: &[&Mark]) -> Vec<Visit> {
    let mut marks = session.to_vec();
    marks.sort_by_key(|mark| (mark.order.sequence, mark.kind, *mark));
    let mut visits = Vec::<Visit>::new();
    for mark in marks {
        let open = visits.last_mut().filter(|visit| visit.ending.is_none());
        match (open, mark.kind) {
            (Some(visit), Kind::Enter) => visit.role = mark.role,
            (Some(visit), Kind::Leave) => visit.ending = Some(left(mark)),
            (None, kind) => visits.push(Visit {
                session: mark.order.session.clone(),
                role: mark.role,
                // A logout whose login was lost still says when the session began.
                entered_at: mark.order.time,
                ending: (kind == Kind::Leave).then(|| left(mark)),
            }),
        }
    }
    visits
}

fn left(mark: &Mark) -> Ending {
    Ending::Left { at: mark.at, reason: mark.reason }
}

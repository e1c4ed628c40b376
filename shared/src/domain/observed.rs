//! What follows from observations: the stays of one person in one room, and of one device.
//!
//! Pure functions of what is known. Every reader asks them, so that all answers agree.

use std::time::Duration;

use super::{
    Beginning, Boundary, CLOCKS_DIFFER, Device, DeviceVerdict, EndRule, Ending, LifeId, Moved,
    RegisterRule, Says, SeatSeen, Seen, SeenRule, Stamp, UnixMillis, Visit,
    observation::LOGINS_DIFFER,
};

/// A pass over an app's devices takes no longer.
const DEVICE_PASS: Duration = Duration::from_mins(15);

/// How long a device counts as online that the provider said to be: three passes, of which two may
/// fail.
pub const SEEN_ONLINE_HOLDS: Duration = Duration::from_mins(3 * DEVICE_PASS.as_secs() / 60);

/// A stay, and the seat that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatStay {
    /// The life of the seat; `None` for the seat that has no marks.
    pub life: Option<LifeId>,
    /// From when to when.
    pub visit: Visit,
}

/// All stays of one person in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Those that the marks show, in the order in which they were given.
    pub real: Vec<SeatStay>,
    /// The one that only an observation shows.
    pub assumed: Option<Visit>,
    /// What became of each observation: of which seat it is, and which rule decided.
    pub rules: Vec<(Option<LifeId>, Seen, SeenRule)>,
}

impl Observed {
    /// All of them, each with its seat.
    pub fn into_stays(self) -> impl Iterator<Item = SeatStay> {
        let assumed = self.assumed.map(|visit| SeatStay { life: None, visit });
        self.real.into_iter().chain(assumed)
    }
}

/// The stays of one person in one room.
///
/// `real` are the stays that the marks on their seats show, whose ends are decided, in any order.
/// `seen` are the observations on these seats and on the seat without a life. `room` are the
/// creations and the closes of the room that are known, in any order.
#[must_use]
pub fn observed(
    real: Vec<SeatStay>,
    seen: &[(Option<LifeId>, SeatSeen)],
    room: &[Boundary],
) -> Observed {
    let mut stays = Stays::new(real);
    let mut rules = Vec::new();
    let came = seen.iter().filter_map(|(life, seen)| Some((life, seen.came?)));
    // Only the newest one is kept, and it speaks for any before it.
    if let Some((life, came)) = came.max_by_key(|(_, came)| *came) {
        rules.push((life.clone(), came, stays.came(&came, room)));
    }
    for (life, seen) in seen {
        if let Some(gone) = seen.gone {
            rules.push((life.clone(), gone, stays.gone(life.as_ref(), gone.at)));
        }
    }
    stays.separate();
    Observed { real: stays.real, assumed: stays.assumed.map(|(visit, _)| visit), rules }
}

/// Whether a stay without an end of its own is over, by the newest observation that the person is
/// not in. A sign of presence that is newer speaks against it.
fn is_gone(sign: UnixMillis, gone: UnixMillis) -> bool {
    sign < gone.before(CLOCKS_DIFFER)
}

/// The stays while observations are taken into account.
struct Stays {
    real: Vec<SeatStay>,
    /// When each of them was last known to be going on.
    signs: Vec<UnixMillis>,
    /// Their numbers, the earliest beginning first.
    order: Vec<usize>,
    /// The assumed one, and the same of it.
    assumed: Option<(Visit, UnixMillis)>,
}

impl Stays {
    fn new(real: Vec<SeatStay>) -> Self {
        let signs = real.iter().map(|stay| stay.visit.last_sign()).collect();
        let mut order: Vec<usize> = (0..real.len()).collect();
        order.sort_by_key(|number| (real[*number].visit.place(), *number));
        Self { real, signs, order, assumed: None }
    }

    /// The provider said that the person is in.
    fn came(&mut self, seen: &Seen, room: &[Boundary]) -> SeenRule {
        let Says::In { role, .. } = seen.says else { return SeenRule::Agrees };
        let login = seen.login();
        let is_after_login =
            |at: UnixMillis| login.is_none_or(|login| at > login.after(LOGINS_DIFFER));
        let (early, late) = (seen.at.before(CLOCKS_DIFFER), seen.at.after(CLOCKS_DIFFER));
        let began_by = |number: &&usize| self.real[**number].visit.place() <= late;
        let last = self.order.iter().take_while(began_by).last().copied();
        let mut begin = login.unwrap_or(seen.at);
        if let Some(last) = last {
            let visit = &self.real[last].visit;
            // A relogin may keep its session.
            let last_login = visit.last_sign();
            let is_of_it = login.is_none_or(|login| login <= last_login.after(LOGINS_DIFFER));
            match visit.ending {
                // It lasted when the provider was asked.
                None if is_of_it => return self.lasted(last, seen.at),
                Some(end) if end.is_assumed() && is_of_it && end.at() > late => {
                    return self.lasted(last, seen.at);
                }
                // The provider may not have noticed yet.
                Some(end) if end.at() >= early && is_of_it => return SeenRule::LeaveSpeaks,
                Some(end @ Ending::Left { at, .. }) => {
                    if at >= early && is_after_login(at) {
                        return SeenRule::LeaveSpeaks;
                    }
                    begin = begin.max(end.at());
                }
                Some(end) if end.at() <= late => begin = begin.max(end.at()),
                None | Some(_) => {}
            }
        }
        let of_room = || room.iter().filter(|boundary| is_after_login(boundary.at()));
        let before = of_room().map(Boundary::at).filter(|at| *at <= early);
        begin = before.fold(begin, UnixMillis::max);

        let mut assumed = Visit {
            session: None,
            role,
            beginning: Beginning::Assumed(begin),
            last_in: seen.at,
            ending: None,
            because: None,
            spared_at: None,
        };
        let next = self.order.iter().map(|number| self.real[*number].visit.place());
        let next = next.filter(|place| *place > late).min();
        // A creation or a close after the answer ends it, and so does one after the login that the
        // answer may not know yet. Who creates a life logs in to it at that millisecond.
        let is_of_later_life = |boundary: &Boundary| {
            login.is_none_or(|login| match boundary {
                Boundary::Created { at, .. } => *at > login,
                Boundary::Closed { at, .. } => *at >= login,
            })
        };
        let cut = room.iter().filter(|boundary| {
            boundary.at() > late || (boundary.at() > early && is_of_later_life(boundary))
        });
        // At the same millisecond one life ends before the next begins.
        let order =
            |boundary: &&Boundary| (boundary.at(), matches!(boundary, Boundary::Created { .. }));
        match (next, cut.min_by_key(order)) {
            (Some(at), cut) if cut.is_none_or(|cut| at <= cut.at()) => {
                assumed.end(Ending::Superseded { at }, EndRule::Superseded, None);
            }
            (_, Some(Boundary::Created { at, .. })) => {
                assumed.end(Ending::RoomReplaced { at: *at }, EndRule::RoomReplaced, None);
            }
            (_, Some(Boundary::Closed { at, .. })) => {
                assumed.end(Ending::RoomClosed { at: *at }, EndRule::RoomClosed, None);
            }
            (_, None) => {}
        }
        if assumed.ending.is_some_and(|end| end.at() <= begin) {
            return SeenRule::Overtaken;
        }
        if let Some(last) = last {
            // The other session ended when this one began.
            let visit = &mut self.real[last].visit;
            let is_later = |end: Ending| end.is_assumed() && end.at() > begin;
            if visit.ending.is_none_or(is_later) {
                let at = begin.max(visit.place());
                visit.end(Ending::Superseded { at }, EndRule::Superseded, None);
            }
        }
        self.assumed = Some((assumed, seen.at));
        SeenRule::Begins
    }

    fn lasted(&mut self, number: usize, at: UnixMillis) -> SeenRule {
        self.signs[number] = self.signs[number].max(at);
        SeenRule::Agrees
    }

    /// The provider said that the person is not in, asked about a stay on this seat.
    fn gone(&mut self, life: Option<&LifeId>, at: UnixMillis) -> SeenRule {
        let on_seat = |stay: &&mut (&mut SeatStay, &UnixMillis)| stay.0.life.as_ref() == life;
        let mut stays: Vec<_> = self.real.iter_mut().zip(&self.signs).collect();
        let mut visits: Vec<(&mut Visit, UnixMillis)> = Vec::new();
        visits
            .extend(stays.iter_mut().filter(on_seat).map(|(stay, sign)| (&mut stay.visit, **sign)));
        let is_of_assumed = life.is_none();
        let assumed = self.assumed.as_mut().filter(|_| is_of_assumed);
        visits.extend(assumed.map(|(visit, sign)| (visit, *sign)));
        let mut rule = SeenRule::Outlived;
        for (visit, sign) in visits {
            let is_earlier = visit.ending.is_none_or(|end| end.is_assumed() && end.at() > at);
            if is_earlier && is_gone(sign, at) {
                let at = at.max(visit.place());
                visit.end(Ending::Reconciled { at }, EndRule::Reconciled, None);
                rule = SeenRule::Ends;
            }
        }
        rule
    }

    /// An end of an assumed stay or of the stay before it that is after the next beginning is that
    /// beginning.
    fn separate(&mut self) {
        let Some((assumed, _)) = &mut self.assumed else { return };
        let begin = assumed.place();
        for number in &self.order {
            let visit = &mut self.real[*number].visit;
            let is_before = visit.place() < begin;
            if is_before && let Some(end) = visit.ending.filter(|end| end.at() > begin) {
                visit.move_end(begin.min(end.at()), Moved::ToNextSession, None);
            } else if !is_before
                && let Some(end) = assumed.ending.filter(|end| end.at() > visit.place())
            {
                assumed.move_end(visit.place().min(end.at()), Moved::ToNextSession, None);
            }
        }
    }
}

/// Ends a visit that lasts by the newest observation on its seat alone. A roster, which reads one
/// seat at a time, takes no other observation into account: [`observed`] does.
#[must_use]
pub fn is_ended_by(visit: &Visit, seen: &SeatSeen) -> bool {
    seen.gone.is_some_and(|gone| is_gone(visit.last_sign(), gone.at))
}

/// What becomes of a device by its observations, when its events are decided. An observation counts
/// as an event at the earliest time that it may be of, and renews no lease.
#[must_use]
pub fn observed_device(
    mut verdict: DeviceVerdict,
    device: &Device,
    now: UnixMillis,
) -> DeviceVerdict {
    let of_events = [device.online, device.offline, device.logged_out, device.kicked_by_itself];
    let newest = of_events.into_iter().flatten().map(Stamp::at).max();
    let counts_as = |seen: Option<UnixMillis>| seen.map(|at| at.before(CLOCKS_DIFFER));
    let (online, offline) = (counts_as(device.seen_online), counts_as(device.seen_offline));
    let is_newest = |at: UnixMillis, other: Option<UnixMillis>| {
        newest.is_none_or(|newest| at > newest) && other.is_none_or(|other| at >= other)
    };
    verdict.seen_online = online.map(|_| RegisterRule::Older);
    verdict.seen_offline = offline.map(|_| RegisterRule::Older);
    if let (Some(at), Some(seen)) =
        (online.filter(|at| is_newest(*at, offline)), device.seen_online)
    {
        let until = seen.after(SEEN_ONLINE_HOLDS);
        let lasts_without = verdict.ending.is_none() && device.online.is_some();
        verdict.seen_online = Some(RegisterRule::SeenOnline);
        // A lease may hold for longer, and so does an event that needs no repetition.
        let is_longer = verdict.lease_until.is_none_or(|lease| lease >= until);
        if lasts_without && is_longer {
            return verdict;
        }
        if verdict.ending.is_some_and(|end| !matches!(end, Ending::LeaseExpired { .. }))
            || device.online.is_none()
        {
            verdict.began_at = Some(at);
        }
        for rule in [
            &mut verdict.online,
            &mut verdict.offline,
            &mut verdict.logged_out,
            &mut verdict.kicked_by_itself,
        ] {
            *rule = rule.map(|_| RegisterRule::Older);
        }
        verdict.lease_until = Some(until);
        verdict.ending = (until <= now).then_some(Ending::LeaseExpired { at: until });
        if until <= now {
            verdict.seen_online = Some(RegisterRule::SeenOnlineExpired);
        }
    } else if let Some(at) = offline.filter(|at| is_newest(*at, None))
        && online.is_none_or(|online| at > online)
    {
        let is_over = verdict.ending.is_some_and(|end| end.at() <= at);
        if !is_over {
            if device.online.is_none() {
                verdict.began_at = online;
            }
            verdict.ending = Some(Ending::Reconciled { at });
            verdict.lease_until = None;
            verdict.online = verdict.online.map(|_| RegisterRule::CameOnline);
            verdict.seen_offline = Some(RegisterRule::SeenOffline);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    #[test]
    fn who_came_again_with_their_old_login_was_in_when_their_stay_began() {
        let life: Option<LifeId> = Some("1".parse().unwrap());
        let visit = Visit {
            session: Some("5".parse().unwrap()),
            role: Role(2),
            // The stay before it ended then.
            beginning: Beginning::Assumed(UnixMillis(600_000)),
            last_in: UnixMillis(1000),
            ending: None,
            because: None,
            spared_at: None,
        };
        let end_by_out = |at| {
            let gone = Some(Seen { at: UnixMillis(at), says: Says::Out });
            let seen = SeatSeen { came: None, gone };
            let stay = SeatStay { life: life.clone(), visit: visit.clone() };
            let real = observed(vec![stay], &[(life.clone(), seen)], &[]).real;
            assert_eq!(real[0].visit.ending.is_some(), is_ended_by(&visit, &seen));
            real[0].visit.ending
        };
        assert_eq!(end_by_out(610_000), None);
        let at = UnixMillis(610_001);
        assert_eq!(end_by_out(at.0), Some(Ending::Reconciled { at }));
    }
}

//! The rules in plain words. Which rule it was, `record` says.

use serde::Serialize;

use crate::{
    domain::{
        Because, By, EndRule, Ending, LastsRule, MarkRule, Moved, RegisterRule, SeenRule, Track,
        TrackRule, UnixMillis, Visit,
    },
    record::{ExplainedDevice, ExplainedMark, OtherTrack, Record},
};

/// The rules that made something of a mark, of a register or of a stay: in words, and their names.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Reasons {
    /// What the rules made of it, in words. The words may change.
    rule: String,
    /// The names of these rules. `docs/design.md` explains each of them.
    #[cfg_attr(test, schemars(schema_with = "rule_names"))]
    rules: Vec<&'static str>,
}

/// The names of all rules, in the order in which a visit meets them.
#[cfg(test)]
fn rule_names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let marks = MarkRule::ALL.iter().map(|rule| rule.name());
    let lasts = LastsRule::ALL.iter().map(|rule| rule.name());
    let ends = EndRule::ALL.iter().map(|rule| rule.name());
    let moved = Moved::ALL.iter().map(|rule| rule.name());
    let tracks = TrackRule::ALL.iter().map(|rule| rule.name());
    let seen = SeenRule::ALL.iter().map(|rule| rule.name());
    let registers = RegisterRule::ALL.iter().map(|rule| rule.name());
    let mut names: Vec<_> = marks
        .chain(lasts)
        .chain(ends)
        .chain(moved)
        .chain(tracks)
        .chain(seen)
        .chain(registers)
        .collect();
    // Two kinds of rules share some names.
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    schemars::json_schema!({
        "type": "array", "minItems": 1, "maxItems": 4, "items": { "type": "string", "enum": names }
    })
}

impl Reasons {
    fn new(rule: String, name: &'static str) -> Self {
        Self { rule, rules: vec![name] }
    }

    fn and(&mut self, rule: &str, name: &'static str) {
        self.rule.push_str("; ");
        self.rule.push_str(rule);
        self.rules.push(name);
    }

    /// Of a mark. The one that began a visit also says what other event ended it, and the one that
    /// ended it, why it did so at another time.
    pub(super) fn of_mark(record: Record<'_>, explained: &ExplainedMark, track: Track) -> Self {
        let (rule, visit) = (explained.rule, &explained.stay.visit);
        let mut reasons = Self::new(mark(rule, visit), rule.name());
        match &visit.because {
            Some(because) if because.rule == EndRule::Left && ends(rule) => {
                reasons.and_moved(visit, because);
            }
            Some(because)
                if !matches!(because.rule, EndRule::Left | EndRule::LeftByNewest)
                    && begins(rule) =>
            {
                reasons.and(&end(because), because.rule.name());
                reasons.and_moved(visit, because);
            }
            _ => {}
        }
        reasons.and_other_track(record, &explained.other, track);
        reasons
    }

    /// Of a stay that is listed with a mark.
    pub(super) fn of_stay(
        record: Record<'_>,
        explained: &ExplainedMark,
        track: Track,
        visit: &Visit,
    ) -> Self {
        let mut reasons = Self::of_visit(visit);
        reasons.and_other_track(record, &explained.other, track);
        reasons
    }

    fn and_other_track(&mut self, record: Record<'_>, other: &OtherTrack, track: Track) {
        let name = record.track_name(track.other()).unwrap_or_default();
        match other {
            OtherTrack::Nothing => {}
            OtherTrack::Decides => {
                let rule = format!("does not count: `rooms` is set to `{name}` for this app");
                self.and(&rule, TrackRule::NotCounted.name());
            }
            OtherTrack::United { stay, .. } => {
                let at = |at: Option<UnixMillis>| {
                    at.map_or_else(|| "now".to_owned(), |at| at.to_string())
                };
                let visit = &stay.visit;
                let (from, to) = (visit.place(), at(visit.ending.map(Ending::at)));
                let rule =
                    format!("with what `{name}` reported, it is one stay from {from} to {to}");
                self.and(&rule, TrackRule::United.name());
            }
        }
    }

    /// Of the end of a visit.
    pub(super) fn of_visit(visit: &Visit) -> Self {
        let mut reasons = visit.because.as_ref().map_or_else(Self::lasts, |because| {
            let mut reasons = Self::new(end(because), because.rule.name());
            reasons.and_moved(visit, because);
            reasons
        });
        if let Some(at) = visit.spared_at {
            let rule = format!(
                "the room's creation at {at} does not end it, because the person created the room"
            );
            reasons.and(&rule, LastsRule::SparesCreator.name());
        }
        reasons
    }

    fn lasts() -> Self {
        Self::new("lasts: nothing has ended it".to_owned(), LastsRule::Lasts.name())
    }

    fn and_moved(&mut self, visit: &Visit, because: &Because) {
        if let (Some((moved, by)), Some(at)) = (&because.moved, visit.ending.map(Ending::at)) {
            self.and(&moved_to(*moved, at, by.as_ref()), moved.name());
        }
    }

    /// Of an observation of somebody in a room.
    pub(super) fn of_seen(rule: SeenRule) -> Self {
        let text = match rule {
            SeenRule::Agrees => "agrees with a stay that is known",
            SeenRule::Begins => "shows a stay that no callback has reported",
            SeenRule::LeaveSpeaks => {
                "stale: that stay has ended, and the provider may not have known that yet"
            }
            SeenRule::Overtaken => "stale: the room or the user's next stay has ended that stay",
            SeenRule::Ends => "ends a stay whose own end never arrived",
            SeenRule::Outlived => {
                "ends nothing: the stay's own end arrived, or a newer sign of presence"
            }
        };
        Self::new(text.to_owned(), rule.name())
    }

    /// Of a register.
    pub(super) fn of_register(device: &ExplainedDevice, rule: RegisterRule) -> Self {
        Self::new(register(device, rule), rule.name())
    }

    /// Of a device's stay online: those of the register that decides.
    pub(super) fn of_device(device: &ExplainedDevice) -> Self {
        let decides = device.registers.iter().find(|register| decides(register.rule));
        let mut reasons = match decides {
            Some(register) => Self::of_register(device, register.rule),
            None => Self::lasts(),
        };
        if device.stay.beginning.at().is_none() {
            reasons.rule.push_str("; no event says when the device came online");
        }
        reasons
    }
}

fn begins(rule: MarkRule) -> bool {
    matches!(
        rule,
        MarkRule::Begins
            | MarkRule::BeginsAnew
            | MarkRule::BeginsAfterLast
            | MarkRule::BeginsUnreported
    )
}

fn ends(rule: MarkRule) -> bool {
    matches!(
        rule,
        MarkRule::Ends | MarkRule::EndsUnreported | MarkRule::EndsAfterLast | MarkRule::EndsUnknown
    )
}

fn mark(rule: MarkRule, visit: &Visit) -> String {
    let text = match rule {
        MarkRule::Begins => "begins a visit",
        MarkRule::BeginsAnew => "begins a visit; since the entry before, no exit has arrived",
        MarkRule::BeginsAfterLast => {
            return format!(
                "begins a visit at {}, when the visit before in this session ended: a login that \
                 keeps its session does not say when it happened",
                visit.place()
            );
        }
        MarkRule::BeginsUnreported => {
            "begins a visit: the person is in, but the callback of their entry never arrived"
        }
        MarkRule::Contradicted => {
            "stale: its session ended before. The newest mark of the session leaves, although this \
             one has a higher sequence; so its visit has no length"
        }
        MarkRule::Repeats => {
            "repeats the login of a session that is in already: the visit goes on, with this role"
        }
        MarkRule::ChangesRole => "changes the role; the visit goes on",
        MarkRule::ChangesConnection => {
            "the person was in already: the visit goes on over another connection"
        }
        MarkRule::Ends => "ends a visit",
        MarkRule::EndsUnreported => {
            "ends a visit whose login never arrived; it says itself when the session began"
        }
        MarkRule::EndsAfterLast => {
            return format!(
                "ends a visit whose login never arrived; that began at {} at the earliest, when \
                 the visit before in this session ended",
                visit.place()
            );
        }
        MarkRule::EndsUnknown => {
            "ends a visit whose entry never arrived, so it is not known when the visit began"
        }
        MarkRule::EndsReplaced => {
            return format!(
                "is the exit of the connection that the entry at {} replaced: it says why the \
                 visit before that entry ended, and does not end the visit after it",
                visit.ending.map_or(visit.place(), Ending::at)
            );
        }
        MarkRule::EndsReplacedConnection => {
            "is the exit of a connection that was replaced within a visit: it does not end the visit"
        }
    };
    text.to_owned()
}

fn end(because: &Because) -> String {
    let at = because.at;
    match (because.rule, &because.by) {
        (EndRule::Left, _) => format!("its own end arrived: the person left at {at}"),
        (EndRule::LeftConnection, _) => {
            format!("ended by the entry at {at}; the exit of the replaced connection says why")
        }
        (EndRule::LeftByNewest, _) => {
            format!("ended by the newest mark of its session, which leaves at {at}")
        }
        (EndRule::Superseded, Some(by)) => {
            format!("superseded by {}, which began at {at}", name(by))
        }
        (EndRule::Superseded, None) => format!("superseded by the entry at {at}"),
        (EndRule::RoomClosed, _) => format!("ended by the room's close at {at}"),
        (EndRule::RoomReplaced, Some(by)) => format!("ended by {}, which began at {at}", name(by)),
        (EndRule::RoomReplaced, None) => format!("ended by the room's creation at {at}"),
        (EndRule::Reconciled, _) => {
            format!(
                "its own end never arrived: asked at {at}, the provider said that the person is not in"
            )
        }
    }
}

fn moved_to(moved: Moved, at: UnixMillis, by: Option<&By>) -> String {
    let by = by.map_or_else(String::new, |by| format!(" {}", name(by)));
    match moved {
        Moved::ToNextSession => format!("moved to {at}, because{by} began then"),
        Moved::ToOtherLife => format!("moved to {at}, because the person came to{by} then"),
        Moved::ToBeginning => format!("moved to {at}, because no visit ends before it begins"),
    }
}

fn name(by: &By) -> String {
    match by {
        By::Session(id) => format!("session {id}"),
        By::Life(id) => format!("life {id} of the room"),
    }
}

fn decides(rule: RegisterRule) -> bool {
    match rule {
        RegisterRule::Online
        | RegisterRule::Lease
        | RegisterRule::LeaseExpired
        | RegisterRule::WentOffline
        | RegisterRule::LoggedOut
        | RegisterRule::PushedByOtherPlatform
        | RegisterRule::PushedBySamePlatform
        | RegisterRule::SeenOnline
        | RegisterRule::SeenOnlineExpired
        | RegisterRule::SeenOffline => true,
        RegisterRule::CameOnline
        | RegisterRule::Older
        | RegisterRule::Outranked
        | RegisterRule::LosesTie
        | RegisterRule::OldClientsLogout => false,
    }
}

fn register(device: &ExplainedDevice, rule: RegisterRule) -> String {
    let until = device.lease_until.map_or_else(String::new, |until| format!(" {until}"));
    let decides = device.registers.iter().find(|register| decides(register.rule));
    let (newest, at) =
        decides.map_or(("-", UnixMillis(0)), |register| (register.name, register.at));
    let is_outranking =
        device.registers.iter().any(|register| register.rule == RegisterRule::Outranked);
    match rule {
        RegisterRule::Online => "online, until an event says otherwise".to_owned(),
        RegisterRule::Lease => format!("online: lease until{until}"),
        RegisterRule::LeaseExpired => {
            format!("offline: the lease ended at{until}, and no repetition has arrived")
        }
        RegisterRule::CameOnline => format!("came online; `{newest}` at {at} ended that"),
        RegisterRule::WentOffline => "offline: it is the newest event".to_owned(),
        RegisterRule::LoggedOut if is_outranking => {
            "logged out: that is final for this session, whatever the times".to_owned()
        }
        RegisterRule::LoggedOut => "logged out: it is the newest event".to_owned(),
        RegisterRule::PushedByOtherPlatform => {
            "pushed offline by a login on another platform: it is the newest event".to_owned()
        }
        RegisterRule::PushedBySamePlatform => {
            "pushed offline by a login on the same platform: it is the newest event".to_owned()
        }
        RegisterRule::SeenOnline => {
            format!("online: the provider said so when it was asked; holds until{until}")
        }
        RegisterRule::SeenOnlineExpired => {
            format!("offline: since{until} no answer of the provider has confirmed it")
        }
        RegisterRule::SeenOffline => {
            "offline: the provider said so when it was asked".to_owned()
        }
        RegisterRule::Older => format!("stale: `{newest}` at {at} is newer"),
        RegisterRule::Outranked => {
            format!("stale: `{newest}` at {at} is final for this session, whatever the times")
        }
        RegisterRule::LosesTie => {
            format!("stale: `{newest}` at the same millisecond has priority")
        }
        RegisterRule::OldClientsLogout => {
            "ignored: an old client also logs out when a login on its own platform pushes it offline"
                .to_owned()
        }
    }
}

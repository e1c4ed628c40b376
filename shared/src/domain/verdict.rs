//! Why an answer is as it is: what the rules made of each mark, of each register of a device, and of
//! the end of a visit.
//!
//! The code that decides gives these verdicts; a query only words them.

use super::{LifeId, Mark, SessionId, UnixMillis};

/// An enum of rules, each with its name in answers.
macro_rules! rules {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $rule:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $rule,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule),+];

            /// Its name in answers.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $text,)+ }
            }
        }
    };
}

rules! {
    /// What became of a mark.
    MarkRule {
        /// It begins a visit.
        Begins = "begins",
        /// It begins a visit of somebody who was in already, and so ends the visit before.
        BeginsAnew = "begins_anew",
        /// It begins a visit in a session whose visit before ended later than the time that it
        /// names. So the visit begins when that one ended.
        BeginsAfterLast = "begins_after_last",
        /// It shows that somebody is in whose entry never arrived.
        BeginsUnreported = "begins_unreported",
        /// It enters with a higher sequence than the newest mark of its session, which leaves.
        Contradicted = "contradicted",
        /// It enters once more in a session that is in.
        Repeats = "repeats",
        /// It names another role of somebody who is in.
        ChangesRole = "changes_role",
        /// It is the entry of somebody who is in, over another connection.
        ChangesConnection = "changes_connection",
        /// It ends a visit.
        Ends = "ends",
        /// It ends a visit whose entry never arrived, and names its beginning.
        EndsUnreported = "ends_unreported",
        /// It ends a visit whose entry never arrived, in a session whose visit before ended later
        /// than the time that it names.
        EndsAfterLast = "ends_after_last",
        /// It ends a visit whose entry never arrived, and does not name its beginning.
        EndsUnknown = "ends_unknown",
        /// It is the exit of a connection that an entry replaced: it ends the visit before.
        EndsReplaced = "ends_replaced",
        /// It is the exit of a connection that was replaced within one visit. That goes on.
        EndsReplacedConnection = "ends_replaced_connection",
    }
}

rules! {
    /// Why a visit has not ended.
    LastsRule {
        /// No other rule has ended it.
        Lasts = "lasts",
        /// The person created the room a moment after they came, and that does not end their visit.
        SparesCreator = "spares_creator",
    }
}

rules! {
    /// Which rule ended a visit.
    EndRule {
        /// A mark says when and why.
        Left = "left",
        /// The exit of the replaced connection says why; the next entry says when.
        LeftConnection = "left_connection",
        /// The newest mark of the session leaves, although another one has a higher sequence.
        LeftByNewest = "left_by_newest",
        /// The person's next session, or their next entry.
        Superseded = "superseded",
        /// The end of the room's life, or the room's dismissal.
        RoomClosed = "room_closed",
        /// The beginning of another life, or the room's creation.
        RoomReplaced = "room_replaced",
        /// The provider was asked, and said that the person is not in.
        Reconciled = "reconciled",
    }
}

rules! {
    /// Why a visit ended at another time than the rule that ended it says.
    Moved {
        /// The person's next session began earlier.
        ToNextSession = "moved_to_next_session",
        /// The person's visit to another life of the room began earlier.
        ToOtherLife = "moved_to_other_life",
        /// The visit began later.
        ToBeginning = "moved_to_beginning",
    }
}

rules! {
    /// What became of what one track reported of somebody, if there is another track.
    TrackRule {
        /// It is a part of a stay that the other track reported, too.
        United = "united",
        /// The app's rooms are decided by the other track.
        NotCounted = "not_counted",
    }
}

rules! {
    /// What became of an observation of somebody in a room.
    SeenRule {
        /// A stay is known that it agrees with.
        Agrees = "seen_agrees",
        /// It shows a stay that no callback reported.
        Begins = "seen_begins",
        /// The stay that it may be of has ended, and the provider may not have known that yet.
        LeaveSpeaks = "seen_left",
        /// The stay that it shows was over before it would have begun: the room or the person's
        /// next stay speaks.
        Overtaken = "seen_overtaken",
        /// It ends a stay whose own end never arrived.
        Ends = "seen_ends",
        /// It ends nothing: the stay's own end arrived, or a newer sign of presence.
        Outlived = "seen_outlived",
    }
}

rules! {
    /// What became of a register of a device.
    RegisterRule {
        /// It came online, and is online until an event says otherwise.
        Online = "online",
        /// It is online as long as that is repeated in time.
        Lease = "lease",
        /// The repetition that was due never arrived.
        LeaseExpired = "lease_expired",
        /// It came online; a newer event ended that.
        CameOnline = "came_online",
        /// It is the newest event: the device is offline.
        WentOffline = "went_offline",
        /// It is the newest event: the user logged out.
        LoggedOut = "logged_out",
        /// It is the newest event: a login on another platform pushed the device offline.
        PushedByOtherPlatform = "pushed_by_other_platform",
        /// It is the newest event: a login on the same platform pushed the device offline.
        PushedBySamePlatform = "pushed_by_same_platform",
        /// A newer event decides.
        Older = "older",
        /// Another event of the same millisecond has priority.
        LosesTie = "loses_tie",
        /// The user logged out in this session, and that is final, whatever the times.
        Outranked = "outranked",
        /// An old client logs out when it is pushed offline. That does not end the stay of the
        /// device that pushed it.
        OldClientsLogout = "old_clients_logout",
        /// The provider was asked, and said that the device is online.
        SeenOnline = "seen_online",
        /// The same, but nothing has confirmed it for three passes.
        SeenOnlineExpired = "seen_online_expired",
        /// The provider was asked, and said that the device is offline.
        SeenOffline = "seen_offline",
    }
}

/// What became of a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The mark.
    pub mark: Mark,
    /// The visit that it belongs to: its number among those that were completed on its seat, from 0.
    pub visit: usize,
    /// The rule.
    pub rule: MarkRule,
}

/// The verdicts on the marks of a seat. They are kept only if somebody asks for them.
#[derive(Debug, Default)]
pub struct Verdicts(Option<Vec<Verdict>>);

impl Verdicts {
    /// From now on, verdicts are kept.
    pub fn ask(&mut self) {
        self.0.get_or_insert_default();
    }

    /// Whether verdicts are kept.
    #[must_use]
    pub fn are_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps a verdict, if they are asked for.
    pub fn give(&mut self, mark: &Mark, visit: usize, rule: MarkRule) {
        if let Some(verdicts) = &mut self.0 {
            verdicts.push(Verdict { mark: mark.clone(), visit, rule });
        }
    }

    /// The verdicts since the last call.
    pub fn take(&mut self) -> Vec<Verdict> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// What ended or moved the end of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A session of the same person.
    Session(SessionId),
    /// A life of the room.
    Life(LifeId),
}

/// Why a visit ended as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The rule that ended it.
    pub rule: EndRule,
    /// When it ended by that rule.
    pub at: UnixMillis,
    /// What ended it, if that has an id.
    pub by: Option<By>,
    /// Why it ended at another time than that rule says, and because of what.
    pub moved: Option<(Moved, Option<By>)>,
}

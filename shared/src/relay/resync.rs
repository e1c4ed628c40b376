//! After a gap: what a backend has to ask about again.

use sha1::{Digest, Sha1};

use super::{
    Event,
    event::{Resync, Subject},
    href, of_user,
};
use crate::{
    domain::{App, UnixMillis},
    store::{ErasureList, Fact, NewFact, StoreError},
};

/// The events that let a backend ask again about the rooms and the people of these facts. The same
/// run has the same event, with the same id, for the same room, person or registration.
///
/// Of a person who was erased, what is not newer has none.
///
/// # Errors
///
/// [`StoreError`] if it is not known who was erased.
pub async fn resync_events(
    facts: &[NewFact],
    started: UnixMillis,
    erasures: &ErasureList,
    now: UnixMillis,
) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for NewFact { app, fact, .. } in left(facts, erasures, now).await? {
        let mut event = |subject, href| events.push(resync(app, subject, href, started));
        match fact {
            Fact::Seat { user, room, .. } | Fact::Seen { user, room, .. } => {
                event(
                    Subject::Room { room: room.clone() },
                    href("presence", app, "room", room.as_str()),
                );
                event(Subject::User { user: user.clone() }, of_user("presence", app, user));
            }
            Fact::Opened { room, .. }
            | Fact::Closed { room, .. }
            | Fact::Settled { room, .. }
            | Fact::Emptied { room, .. } => {
                event(
                    Subject::Room { room: room.clone() },
                    href("presence", app, "room", room.as_str()),
                );
            }
            Fact::Online { user, .. }
            | Fact::Offline { user, .. }
            | Fact::SeenDevice { user, .. }
            | Fact::Erased { user } => {
                event(Subject::User { user: user.clone() }, of_user("presence", app, user));
            }
            Fact::Registered { user, .. }
            | Fact::ProfileChanged { user }
            | Fact::ProfileRead { user } => {
                event(Subject::User { user: user.clone() }, of_user("registrations", app, user));
            }
        }
    }
    Ok(events)
}

/// The facts that no erasure covers.
async fn left<'a>(
    facts: &'a [NewFact],
    erasures: &ErasureList,
    now: UnixMillis,
) -> Result<Vec<&'a NewFact>, StoreError> {
    let mut left = Vec::new();
    for fact in facts {
        let is_erased = match fact.person() {
            Some(of) => erasures.of(&of.app, now).await?.cover_fact(&of),
            None => false,
        };
        if !is_erased {
            left.push(fact);
        }
    }
    Ok(left)
}

fn resync(app: &App, about: Subject, href: String, started: UnixMillis) -> Event {
    let name = hex::encode(&Sha1::digest(&href)[..8]);
    Event::Resync(Resync {
        id: format!("resync-{started}-{name}"),
        at: started.0,
        provider: app.provider,
        app: app.id.clone(),
        about,
        href,
    })
}

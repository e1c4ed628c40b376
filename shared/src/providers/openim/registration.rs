//! Registrations: the users of `callbackAfterUserRegisterCommand`.

use super::OpenIm;
use crate::{
    callback::{Batch, FieldError, Fields, ParseError, Parsed, Verified, elements},
    domain::{
        App, Change, Detail, Details, MAX_EVENT_TIME_AHEAD, Registration, RegistrationSource,
        UnixMillis,
    },
};

const USERS: &str = "users";

/// How much of a user's `ex` is kept, in bytes. More of it would make every write expensive.
const MAX_EXTRA_BYTES: usize = 32 << 10;

/// How much of a name or an address is kept, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// Before OpenIM there were no OpenIM users: an earlier `createTime` is a slip, or in seconds.
const OPENIM_BEGAN: UnixMillis = UnixMillis(1_546_300_800_000); // 2019-01-01

/// Reads `users`: an array from the server, an object from its documentation.
///
/// A user that cannot be recorded does not take the others down with it: nothing is ever sent
/// again.
pub(super) fn changes(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
    let json = request.body().nested(USERS).ok_or(FieldError::Missing(USERS))?;
    let users = match json.as_bytes() {
        [b'{', ..] => vec![json],
        _ => elements(json).ok_or(FieldError::NotUsers(USERS))?,
    };
    let app = request.app();
    let read = |user: &str| {
        let user = Fields::from_json(user).map_err(|_| FieldError::NotUsers(USERS))?;
        let source = RegistrationSource::Callback;
        registration(&app, &user, source, request.received_at()).map(Change::Registration)
    };
    let Batch { read: changes, left_out } = Batch::read(USERS, users.into_iter().map(read))?;
    Ok(Parsed { event: None, changes, left_out })
}

/// Reads a user, as the server sends and lists them.
pub(super) fn registration(
    app: &App,
    user: &Fields,
    source: RegistrationSource,
    received_at: UnixMillis,
) -> Result<Registration, FieldError> {
    let sent = user.shown("ex")?;
    let extra = sent.map(|extra| kept(extra, MAX_EXTRA_BYTES));
    // Oddities of a number are no reason to lose a registration.
    let number = |field| Detail::from(user.integer::<i32>(field).ok().flatten());
    let details = [
        ("avatar_url", Detail::from(text(user, "faceURL")?)),
        // Opaque data of the app's own.
        ("extra", Detail::from(extra.map(str::to_owned))),
        ("extra_truncated", Detail::Flag(extra != sent)),
        // 0 and 1 ordinary, 2 admin, 3 notification account, 4 robot.
        ("manager_level", number("appMangerLevel")),
        ("receive_option", number("globalRecvMsgOpt")),
    ];
    Ok(Registration {
        app: app.clone(),
        user: user.id("userID")?,
        source,
        create_time: create_time(user, received_at),
        recorded_at: received_at,
        name: text(user, "nickname")?,
        details: Details::from(details.map(|(name, detail)| (name.into(), detail))),
    })
}

/// The server echoes what the caller of its API said, which is often 0, and stores its own clock.
fn create_time(user: &Fields, received_at: UnixMillis) -> Option<UnixMillis> {
    let time = user.integer("createTime").ok().flatten().map(UnixMillis)?;
    let plausible = OPENIM_BEGAN..=received_at.after(MAX_EVENT_TIME_AHEAD);
    plausible.contains(&time).then_some(time)
}

fn text(user: &Fields, field: &'static str) -> Result<Option<String>, FieldError> {
    Ok(user.shown(field)?.map(|text| kept(text, MAX_TEXT_BYTES).to_owned()))
}

fn kept(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

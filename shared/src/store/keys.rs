//! Keys. Any id may contain any character, so ids are escaped before they are joined: no two
//! different ids, and no two kinds of item, ever have the same key.
//!
//! | item | `pk` | `sk` | `gsi1pk` | `gsi1sk` |
//! | --- | --- | --- | --- | --- |
//! | seat | user | `seat#ROOM#LIFE` | shard of the room | `in#TIME#LIFE#USER` or `left#...` |
//! | moved marks of a seat | user | `moved#ROOM#LIFE#MARK` | |
//! | life | room | `life#LIFE` | lives of the room | `TIME#LIFE` |
//! | device | user | `device#PLATFORM#CONNECTION` | | |
//! | sessions | user | `sessions#` | | |
//! | moved marks of sessions | user | `sessions#MARK` | | |
//! | boundary | room | `boundary#TIME#...` | lives of the room | `TIME#1#CREATOR` or `TIME#2` |
//! | the same, by `RoomEngine` | room | `boundary#room_engine#TIME#...` | lives of the room | `room_engine#TIME#...` |
//! | live room | room | `live` | shard of the app's live rooms | `HOUR#ROOM` |
//! | app with rooms | `rollcall#apps` | `app#PROVIDER#APP` | | |
//! | note of a check | room | `check#LIFE` | | |
//! | answer about a room without lives | room | `checked` | | |
//! | settled life | room | `settled#LIFE#REVISION` | | |
//! | emptied room | room | `emptied#LIFE#TIME` | | |
//! | shards that rooms ever had | `rollcall#apps` | `room_shards` | | |
//! | lease of the sweep | `rollcall#apps` | `sweep` | | |
//! | lease of an app's passes | `rollcall#apps` | `pass#PROVIDER#APP` | | |
//! | room that a request asked about | `rollcall#apps` | `asked#PROVIDER#APP#ROOM` | | |
//! | memory of the passes over a room | room | `pass` | | |
//! | memory of the passes over people | `rollcall#apps` | `people#PROVIDER#APP` | | |
//! | sample | `PROVIDER#APP#samples` | `TIME` | | |
//! | month | user | `month#MONTH` | shard of the app's month | `USER` |
//! | registration | user | `registration` | shard of the app | `TIME#USER` |
//! | change of a profile without one | user | `registration` | the app's, or none | `USER` |
//! | use of a signature | `PROVIDER#APP#signature#HASH` | `use` | | |
//! | erasure of a person | `PROVIDER#APP#erasures` | `erasure#HASH` | | |
//! | key of these hashes | `PROVIDER#APP#erasures` | `hash_key` | | |
//! | note that an app has a second track | `PROVIDER#APP#erasures` | `second_track` | | |
//!
//! A user's partition is `PROVIDER#APP#user#USER`, a room's `PROVIDER#APP#room#ROOM`, to which the
//! index adds `#0` to `#3` (and up to `#63` of a large room) for its shards and `#lives` for its
//! lives. Times have 16 decimal digits, so that they sort. What `RoomEngine` reports has
//! `%room_engine` in place of the life of a seat: no escaped id has a `%` before an `r`.

use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha1::{Digest, Sha1};

use super::StoreError;
use crate::{
    domain::{
        App, CreatorHash, LifeId, Month, Platform, ProviderName, RoomId, SessionId, Shards, Track,
        UnixMillis, UserId,
    },
    providers::NewestMark,
};

/// The number of partitions of the index that an app's registrations are spread over.
pub(super) const REGISTRATION_SHARDS: u8 = 4;

/// The number of partitions of the index that a month's active users are spread over. When a month
/// begins, all of them are written at once.
pub(super) const MONTH_SHARDS: u8 = 16;

/// The number of partitions of the index that an app's live rooms are spread over.
pub(super) const LIVE_SHARDS: u8 = 16;

/// How long a month can be counted after a user's first login in it: more than a year.
pub(super) const MONTH_KEPT: Duration = Duration::from_hours(400 * 24);

/// The sort key of the item that lists a room as live.
pub(super) const LIVE: &str = "live";

/// What the places of an app's live rooms are between: they begin with a digit, and `:` is the
/// character after `9`.
pub(super) const LIVE_ROWS: [&str; 2] = ["0", ":"];

/// The partition of the apps that have rooms. No provider has this name.
pub(super) const APPS: &str = "rollcall#apps";

/// The prefix of the sort keys of these apps.
pub(super) const APP: &str = "app#";

/// The prefix of the sort keys of notes that a room will be checked.
const CHECK: &str = "check#";

/// The prefix of the sort keys of settled lives.
pub(super) const SETTLED: &str = "settled#";

/// The prefix of the sort keys of emptied rooms.
pub(super) const EMPTIED: &str = "emptied#";

/// The sort key of the lease of the sweep, which lies beside these apps.
pub(super) const SWEEP: &str = "sweep";

/// The sort key of the numbers of shards that the table has seen, which lie beside these apps.
pub(super) const ROOM_SHARDS: &str = "room_shards";

/// The sort key of what passes over a room remember.
pub(super) const PASS: &str = "pass";

/// The prefix of the sort keys of boundaries.
pub(super) const BOUNDARY: &str = "boundary#";

/// The sort key of the check of a room of which no life is known, and of when somebody was seen in a
/// room.
pub(super) const CHECKED: &str = "checked";

/// The sort key of a registration.
pub(super) const REGISTRATION: &str = "registration";

/// The sort key of the use of a signature.
pub(super) const SIGNATURE_USE: &str = "use";

/// The prefix of the sort keys of erasures.
pub(super) const ERASURE: &str = "erasure#";

/// The sort key of the key with which an app's erasures hash the ids of users.
pub(super) const HASH_KEY: &str = "hash_key";

/// The sort key of the note that a second track reports the rooms of an app. It lies beside the app's
/// erasures, which every reader reads anyway.
pub(super) const SECOND_TRACK: &str = "second_track";

/// What takes the place of the life of a seat by [`Track::RoomEngine`].
const ROOM_ENGINE: &str = "%room_engine";

/// What the boundaries by [`Track::RoomEngine`] begin with. All others begin with a digit.
const BOUNDARIES_OF_ROOM_ENGINE: &str = "room_engine#";

/// The prefix of the sort keys of months.
pub(super) const MONTH: &str = "month#";

/// The prefix of the sort keys of moved marks.
pub(super) const MOVED: &str = "moved#";

/// The prefix of the sort keys of devices.
pub(super) const DEVICE: &str = "device#";

/// The sort key of a user's sessions, and the prefix of those of the marks that were moved from there.
pub(super) const SESSIONS: &str = "sessions#";

/// It comes after the sort keys of all sessions.
pub(super) const SESSIONS_END: &str = "sessions$";

/// The prefix of the sort keys of lives.
pub(super) const LIFE: &str = "life#";

/// The prefix of the sort keys of seats.
pub(super) const SEAT: &str = "seat#";

/// It comes after the sort keys of all seats: `$` is the character after `#`.
pub(super) const SEATS_END: &str = "seat$";

const HOUR_MS: u64 = 3_600_000;

const ESCAPED: &AsciiSet = &CONTROLS.add(b'#').add(b'%');

fn escape(id: &str) -> String {
    utf8_percent_encode(id, ESCAPED).to_string()
}

fn unescape<T: std::str::FromStr>(part: Option<&str>) -> Result<T, StoreError> {
    part.and_then(|part| percent_decode_str(part).decode_utf8().ok()?.parse().ok())
        .ok_or(StoreError::Item("its key does not hold the ids it should"))
}

pub(super) fn user(app: &App, user: &UserId) -> String {
    format!("{}#{}#user#{}", app.provider, escape(app.id.as_str()), escape(user.as_str()))
}

/// What the partitions of an app's people and rooms begin with.
pub(super) fn of_app(app: &App) -> String {
    format!("{}#{}#", app.provider, escape(app.id.as_str()))
}

pub(super) fn room(app: &App, room: &RoomId) -> String {
    format!("{}#{}#room#{}", app.provider, escape(app.id.as_str()), escape(room.as_str()))
}

/// A separate partition: a signature is used once or twice, and then never again.
pub(super) fn signature(app: &App, hash: &[u8; 32]) -> String {
    format!("{}#{}#signature#{}", app.provider, escape(app.id.as_str()), hex::encode(hash))
}

/// The erasures of an app, and the key of their hashes.
pub(super) fn erasures(app: &App) -> String {
    format!("{}#{}#erasures", app.provider, escape(app.id.as_str()))
}

pub(super) fn erasure(hash: &[u8; 32]) -> String {
    format!("{ERASURE}{}", hex::encode(hash))
}

/// Where lives have no names, the last part is empty, which no id can be, or names a track.
pub(super) fn seat(room: &RoomId, life: Option<&LifeId>, track: Track) -> String {
    format!("{}{}", seats_of(room), seat_part(life, track))
}

/// The prefix of the sort keys of a user's seats in one room.
pub(super) fn seats_of(room: &RoomId) -> String {
    format!("{SEAT}{}#", escape(room.as_str()))
}

fn life_part(life: Option<&LifeId>) -> String {
    life.map_or_else(String::new, |life| escape(life.as_str()))
}

/// Which of a person's seats in a room it is.
fn seat_part(life: Option<&LifeId>, track: Track) -> String {
    match track {
        Track::Media => life_part(life),
        Track::RoomEngine => ROOM_ENGINE.to_owned(),
    }
}

/// `oldest` is the oldest of the marks that are moved.
pub(super) fn moved(room: &RoomId, life: Option<&LifeId>, track: Track, oldest: &[u8]) -> String {
    format!("{}{}", moved_of(room, life, track), hex::encode(oldest))
}

/// The prefix of the sort keys of the items with the moved marks of one seat. They sort by the
/// oldest mark of each.
pub(super) fn moved_of(room: &RoomId, life: Option<&LifeId>, track: Track) -> String {
    format!("{MOVED}{}#{}#", escape(room.as_str()), seat_part(life, track))
}

/// `oldest` is the oldest of the marks of sessions that are moved.
pub(super) fn moved_sessions(oldest: &[u8]) -> String {
    format!("{SESSIONS}{}", hex::encode(oldest))
}

pub(super) fn life(life: &LifeId) -> String {
    format!("{LIFE}{}", escape(life.as_str()))
}

/// What is known of a check of a room lies on its newest life. If no life is known, it is alone.
pub(super) fn checked(life: Option<&LifeId>) -> String {
    life.map_or_else(|| CHECKED.to_owned(), self::life)
}

/// Where lives have no names, the last part is empty.
pub(super) fn check(life: Option<&LifeId>) -> String {
    format!("{CHECK}{}", life_part(life))
}

/// Sorted by revision.
pub(super) fn settled(life: &LifeId, revision: u64) -> String {
    format!("{}{revision:010}", settled_of(life))
}

/// The prefix of the sort keys of the revisions of a settled life.
pub(super) fn settled_of(life: &LifeId) -> String {
    format!("{SETTLED}{}#", escape(life.as_str()))
}

/// Sorted by time.
pub(super) fn emptied(life: Option<&LifeId>, at: UnixMillis) -> String {
    format!("{}{}", emptied_of(life), time(at))
}

/// The prefix of the sort keys of the times at which a room was empty in one of its lives.
pub(super) fn emptied_of(life: Option<&LifeId>) -> String {
    format!("{EMPTIED}{}#", life_part(life))
}

/// A device without a connection has an empty last part, which no id can be.
pub(super) fn device(platform: &Platform, connection: Option<&SessionId>) -> String {
    let connection = connection.map_or_else(String::new, |id| escape(id.as_str()));
    format!("{DEVICE}{}#{connection}", escape(platform.as_str()))
}

/// The user's shard out of `shards`. The hash never changes, because the result is stored. It is two
/// bytes, so that the shards are equally full if their number is no power of two.
fn shard_number(user: &UserId, shards: u8) -> u8 {
    let hash = Sha1::digest(user.as_str());
    let number = u16::from_le_bytes([hash[0], hash[1]]) % u16::from(shards);
    u8::try_from(number).unwrap_or_default() // It is less than `shards`.
}

pub(super) fn month(month: Month) -> String {
    format!("{MONTH}{month}")
}

/// The shard of a month that holds a user.
pub(super) fn month_of(app: &App, month: Month, user: &UserId) -> String {
    month_shard(app, month, shard_number(user, MONTH_SHARDS))
}

pub(super) fn month_shard(app: &App, month: Month, shard: u8) -> String {
    format!("{}#{}#month#{month}#{shard}", app.provider, escape(app.id.as_str()))
}

pub(super) fn month_row(user: &UserId) -> String {
    escape(user.as_str())
}

/// The shard of an app's live rooms that holds a room. The hash never changes, because the result
/// is stored.
pub(super) fn live_of(app: &App, room: &RoomId) -> String {
    live(app, Sha1::digest(room.as_str())[0] % LIVE_SHARDS)
}

pub(super) fn live(app: &App, shard: u8) -> String {
    format!("{}#{}#live#{shard}", app.provider, escape(app.id.as_str()))
}

/// The place of a live room: by the hour of its last activity, so that it seldom moves.
pub(super) fn live_row(last_at: UnixMillis, room: &RoomId) -> String {
    let hour = UnixMillis(last_at.0 - last_at.0 % HOUR_MS);
    format!("{}#{}", time(hour), escape(room.as_str()))
}

/// The sort key of an app among those that have rooms.
pub(super) fn app(app: &App) -> String {
    format!("{APP}{}#{}", app.provider, escape(app.id.as_str()))
}

/// The sort key of the lease of an app's passes.
pub(super) fn pass_of(app: &App) -> String {
    format!("{PASS}#{}#{}", app.provider, escape(app.id.as_str()))
}

/// The sort key of what passes over an app's people remember.
pub(super) fn people_of(app: &App) -> String {
    format!("people#{}#{}", app.provider, escape(app.id.as_str()))
}

/// The sort key of a room that a request asked about.
pub(super) fn asked(app: &App, room: &RoomId) -> String {
    format!("{}{}", asked_of(app), escape(room.as_str()))
}

/// The prefix of the sort keys of an app's rooms that a request asked about.
pub(super) fn asked_of(app: &App) -> String {
    format!("asked#{}#{}#", app.provider, escape(app.id.as_str()))
}

/// The samples of an app, whose sort keys are times.
pub(super) fn samples(app: &App) -> String {
    format!("{}#{}#samples", app.provider, escape(app.id.as_str()))
}

/// Those of a track are sorted by time. At the same millisecond, a creation comes before a dismissal.
pub(super) fn creation_row(track: Track, at: UnixMillis, creator: Option<CreatorHash>) -> String {
    let creator = creator.map_or_else(String::new, |creator| hex::encode(creator.to_bytes()));
    format!("{}#1#{creator}", boundaries_from(track, at))
}

pub(super) fn dismissal_row(track: Track, at: UnixMillis) -> String {
    format!("{}#2", boundaries_from(track, at))
}

/// The beginning of the boundaries of a track that are not older than `at`.
pub(super) fn boundaries_from(track: Track, at: UnixMillis) -> String {
    format!("{}{}", boundaries_of(track), time(at))
}

/// The end of the boundaries of a track: `:` is the character after `9`.
pub(super) fn boundaries_end(track: Track) -> String {
    format!("{}:", boundaries_of(track))
}

fn boundaries_of(track: Track) -> &'static str {
    match track {
        Track::Media => "",
        Track::RoomEngine => BOUNDARIES_OF_ROOM_ENGINE,
    }
}

/// The shard of a room's index that holds a new row of a user.
pub(super) fn shard_of(app: &App, room: &RoomId, user: &UserId, shards: Shards) -> String {
    shard(app, room, shard_number(user, shards.number()))
}

/// The shard of an app's registrations that holds a user's.
pub(super) fn registrations_of(app: &App, user: &UserId) -> String {
    registrations(app, shard_number(user, REGISTRATION_SHARDS))
}

pub(super) fn registrations(app: &App, shard: u8) -> String {
    format!("{}#{}#registrations#{shard}", app.provider, escape(app.id.as_str()))
}

pub(super) fn registration_row(at: UnixMillis, user: &UserId) -> String {
    format!("{}#{}", time(at), escape(user.as_str()))
}

/// The users whose profiles changed and whose registrations never arrived. They are few.
pub(super) fn unregistered(app: &App) -> String {
    format!("{}#{}#unregistered", app.provider, escape(app.id.as_str()))
}

pub(super) fn unregistered_row(user: &UserId) -> String {
    escape(user.as_str())
}

/// A time that sorts.
pub(super) fn time(at: UnixMillis) -> String {
    format!("{:016}", at.0)
}

/// The end of the rows that begin with a time: `$` is the character after `#`.
pub(super) fn time_end(at: UnixMillis) -> String {
    format!("{}$", time(at))
}

pub(super) fn shard(app: &App, id: &RoomId, shard: u8) -> String {
    format!("{}#{shard}", room(app, id))
}

pub(super) fn lives(app: &App, id: &RoomId) -> String {
    format!("{}#lives", room(app, id))
}

/// The part of a room's index that a row is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Seats whose newest event may leave their user in.
    In,
    /// Seats whose newest event is certainly their user's exit.
    Left,
}

impl Section {
    /// The section of a seat with this newest mark. Members are read from one section only, so
    /// everyone who may be in is in that section. Readers check the marks.
    pub(super) fn of(newest: NewestMark) -> Self {
        match newest {
            NewestMark::Left => Self::Left,
            NewestMark::In | NewestMark::Unclear => Self::In,
        }
    }

    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::In => "in#",
            Self::Left => "left#",
        }
    }
}

/// The place of a seat in its room's index: by the time its newest session began.
pub(super) fn row(
    section: Section,
    time: UnixMillis,
    (life, track): (Option<&LifeId>, Track),
    user: &UserId,
) -> String {
    let (seat, user) = (seat_part(life, track), escape(user.as_str()));
    format!("{}{}#{seat}#{user}", section.prefix(), self::time(time))
}

/// The part of a row's place that does not change when its user leaves.
pub(super) fn place(row: &str) -> &str {
    row.split_once('#').map_or(row, |(_, place)| place)
}

/// The beginning of the rows of a section that are not older than `time`.
pub(super) fn rows_from(section: Section, time: UnixMillis) -> String {
    format!("{}{}", section.prefix(), self::time(time))
}

/// The end of the rows of a section: `$` is the character after `#`.
pub(super) fn rows_end(section: Section) -> String {
    section.prefix().replace('#', "$")
}

pub(super) fn life_row(began: UnixMillis, life: &LifeId) -> String {
    format!("{}#{}", time(began), escape(life.as_str()))
}

/// Whose items a partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// A person's.
    User(UserId),
    /// A room's.
    Room(RoomId),
}

/// The app of a partition, and whose items it holds. `None` if they are neither a person's nor a
/// room's.
pub(super) fn parse_partition(pk: &str) -> Result<Option<(App, Owner)>, StoreError> {
    if pk == APPS {
        return Ok(None);
    }
    let mut parts = pk.split('#');
    let provider = parts.next().and_then(ProviderName::by_name);
    let provider = provider.ok_or(StoreError::Item("its key names no provider"))?;
    let app = App { provider, id: unescape(parts.next())? };
    let owner = match parts.next() {
        Some("user") => Owner::User(unescape(parts.next())?),
        Some("room") => Owner::Room(unescape(parts.next())?),
        _ => return Ok(None),
    };
    Ok(Some((app, owner)))
}

/// The user of a partition.
pub(super) fn parse_user(pk: &str) -> Result<UserId, StoreError> {
    unescape(pk.split('#').nth(3))
}

/// The room, the life and the track of the sort key of a seat, or of moved marks.
pub(super) fn parse_seat(sk: &str) -> Result<(RoomId, Option<LifeId>, Track), StoreError> {
    let mut parts = sk.split('#').skip(1);
    let room = unescape(parts.next())?;
    let life = match parts.next() {
        None | Some("") => None,
        Some(ROOM_ENGINE) => return Ok((room, None, Track::RoomEngine)),
        life => Some(unescape(life)?),
    };
    Ok((room, life, Track::Media))
}

/// The track of the sort key of a boundary.
pub(super) fn parse_boundary(sk: &str) -> Track {
    let row = sk.strip_prefix(BOUNDARY);
    let is_room_engines = row.is_some_and(|row| row.starts_with(BOUNDARIES_OF_ROOM_ENGINE));
    if is_room_engines { Track::RoomEngine } else { Track::Media }
}

/// The platform and the connection of a device's sort key.
pub(super) fn parse_device(sk: &str) -> Result<(Platform, Option<SessionId>), StoreError> {
    let mut parts = sk.split('#').skip(1);
    let platform = unescape(parts.next())?;
    let connection = parts.next().filter(|connection| !connection.is_empty());
    Ok((platform, connection.map(|connection| unescape(Some(connection))).transpose()?))
}

/// The app of a sort key among those that have rooms.
pub(super) fn parse_app(sk: &str) -> Result<App, StoreError> {
    let mut parts = sk.split('#').skip(1);
    let provider = parts.next().and_then(ProviderName::by_name);
    let provider = provider.ok_or(StoreError::Item("its key names no provider"))?;
    Ok(App { provider, id: unescape(parts.next())? })
}

/// The room of the sort key of one that a request asked about.
pub(super) fn parse_asked(sk: &str) -> Result<RoomId, StoreError> {
    unescape(sk.split('#').nth(3))
}

/// The hash of an erasure's sort key.
pub(super) fn parse_erasure(sk: &str) -> Result<[u8; 32], StoreError> {
    let hash = sk.strip_prefix(ERASURE).and_then(|hash| hex::decode(hash).ok()?.try_into().ok());
    hash.ok_or(StoreError::Item("the key of an erasure does not hold a hash"))
}

/// The month of a month's sort key.
pub(super) fn parse_month(sk: &str) -> Result<Month, StoreError> {
    let month = sk.strip_prefix(MONTH).and_then(|month| month.parse().ok());
    month.ok_or(StoreError::Item("the key of a month does not hold one"))
}

/// The life of an emptied room's sort key, if the provider distinguishes lives.
pub(super) fn parse_emptied(sk: &str) -> Result<Option<LifeId>, StoreError> {
    let life = sk.split('#').nth(1).filter(|life| !life.is_empty());
    life.map(|life| unescape(Some(life))).transpose()
}

/// The life of the sort key of a life, or of a settled one.
pub(super) fn parse_life(sk: &str) -> Result<LifeId, StoreError> {
    unescape(sk.split('#').nth(1))
}

/// Checks arbitrary ids, four of them separated by U+0001: they can be read from their keys, and
/// other ids have other keys. For `fuzz/`.
#[cfg(any(test, fuzzing))]
#[expect(clippy::unwrap_used, reason = "a target is to fail")]
pub(super) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ids: Vec<&str> = text.splitn(4, '\u{1}').collect();
    let [a, b, c, d] = ids[..] else { return };
    let read = |id: &str, name: &str| {
        let app = App { provider: ProviderName::ALL[0], id: id.parse().ok()? };
        let (user_id, room_id): (UserId, RoomId) = (name.parse().ok()?, name.parse().ok()?);
        let (life_id, platform): (LifeId, Platform) = (id.parse().ok()?, id.parse().ok()?);
        let connection: SessionId = name.parse().ok()?;
        let hash = [0; 32];
        assert_eq!(parse_user(&user(&app, &user_id)).unwrap(), user_id);
        let sk = seat(&room_id, Some(&life_id), Track::Media);
        let of_life = (room_id.clone(), Some(life_id.clone()), Track::Media);
        assert_eq!(parse_seat(&sk).unwrap(), of_life);
        for track in Track::ALL {
            let sk = seat(&room_id, None, track);
            assert_eq!(parse_seat(&sk).unwrap(), (room_id.clone(), None, track));
        }
        assert_eq!(parse_life(&self::life(&life_id)).unwrap(), life_id);
        assert_eq!(parse_life(&settled(&life_id, 1)).unwrap(), life_id);
        let sk = emptied(Some(&life_id), UnixMillis(1));
        assert_eq!(parse_emptied(&sk).unwrap(), Some(life_id.clone()));
        assert_eq!(parse_emptied(&emptied(None, UnixMillis(1))).unwrap(), None);
        assert_eq!(parse_asked(&asked(&app, &room_id)).unwrap(), room_id);
        let sk = device(&platform, Some(&connection));
        assert_eq!(parse_device(&sk).unwrap(), (platform, Some(connection)));
        let partitions = vec![
            user(&app, &user_id),
            room(&app, &room_id),
            lives(&app, &room_id),
            shard(&app, &room_id, 0),
            shard(&app, &room_id, 63),
            registrations(&app, 0),
            signature(&app, &hash),
            erasures(&app),
            live(&app, 0),
            samples(&app),
            unregistered(&app),
        ];
        assert_eq!(parse_app(&self::app(&app)).unwrap(), app);
        Some((partitions, seat(&room_id, Some(&life_id), Track::Media)))
    };
    if let (Some((ours, our_seat)), Some((theirs, their_seat))) = (read(a, b), read(c, d)) {
        for (i, key) in ours.iter().enumerate() {
            for (j, other) in theirs.iter().enumerate() {
                // A key of the whole app does not depend on the other id.
                let is_same = i == j && a == c && (b == d || i >= 5);
                assert_eq!(key == other, is_same, "{key} {other}");
            }
        }
        assert_eq!(our_seat == their_seat, a == c && b == d);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::AppId;

    fn app(id: &str) -> App {
        App { provider: ProviderName::Zego, id: id.parse::<AppId>().unwrap() }
    }

    /// Promise 7: ids that are designed to collide with one another's keys.
    #[test]
    fn promise_7_isolated_no_two_ids_share_a_key() {
        let ids = [
            "a",
            "a#",
            "#a",
            "a#user#a",
            "a%23",
            "%23",
            "#",
            "%",
            "a#0",
            "ä",
            "\0",
            "a/b",
            "%room_engine",
            "room_engine",
        ];
        let mut keys = HashSet::new();
        for a in ids {
            for b in ids {
                let (room_id, user_id) = (b.parse().unwrap(), b.parse().unwrap());
                assert!(keys.insert(user(&app(a), &user_id)));
                assert!(keys.insert(room(&app(a), &room_id)));
                assert!(keys.insert(lives(&app(a), &room_id)));
                for number in Shards::MOST.each() {
                    assert!(keys.insert(shard(&app(a), &room_id, number)));
                }
                let (room_id, life_id) = (a.parse().unwrap(), b.parse().unwrap());
                assert!(keys.insert(seat(&room_id, Some(&life_id), Track::Media)));
            }
            for track in Track::ALL {
                assert!(keys.insert(seat(&a.parse().unwrap(), None, track)));
            }
        }
    }

    /// The shards are stored: if they changed, a user would be in a room twice, and a room in the list.
    #[test]
    fn a_user_and_a_room_stay_in_their_shards() {
        let shards = ["ada", "cyd", "888120154"].map(|id| {
            [4, 64, MONTH_SHARDS].map(|shards| shard_number(&id.parse().unwrap(), shards))
        });
        assert_eq!(shards, [[0, 36, 4], [3, 7, 7], [1, 9, 9]]);
        let shards =
            ["lobby", "r", "rid_1242649"].map(|id| live_of(&app("1"), &id.parse().unwrap()));
        assert_eq!(shards, [13, 13, 1].map(|shard| live(&app("1"), shard)));
    }

    #[test]
    fn a_live_room_moves_once_an_hour_and_is_between_the_ends_of_the_list() {
        let room = "r".parse().unwrap();
        let row = |at| live_row(UnixMillis(at), &room);
        assert_eq!(row(7_200_000), row(10_799_999));
        assert!(row(10_799_999) < row(10_800_000));
        for at in [0, 9_999_999_999_999_999] {
            assert!((LIVE_ROWS[0].to_owned()..LIVE_ROWS[1].to_owned()).contains(&row(at)));
        }
        assert_eq!(parse_partition(APPS).unwrap(), None);
    }

    #[test]
    fn ids_come_back_from_keys() {
        for id in ["a", "a#b%23", "ä\u{0}", "😀 ", "in#"] {
            let user_id: UserId = id.parse().unwrap();
            assert_eq!(parse_user(&user(&app(id), &user_id)).unwrap(), user_id);
            let of_user = parse_partition(&user(&app(id), &user_id)).unwrap();
            assert_eq!(of_user, Some((app(id), Owner::User(user_id))));
            let of_room = parse_partition(&room(&app(id), &id.parse().unwrap())).unwrap();
            assert_eq!(of_room, Some((app(id), Owner::Room(id.parse().unwrap()))));
            assert_eq!(parse_partition(&signature(&app(id), &[0; 32])).unwrap(), None);
            let (room_id, life_id) = (id.parse().unwrap(), "7".parse().ok());
            assert_eq!(
                parse_seat(&seat(&room_id, life_id.as_ref(), Track::Media)).unwrap(),
                (room_id.clone(), life_id, Track::Media)
            );
            for track in Track::ALL {
                let sk = seat(&room_id, None, track);
                assert_eq!(parse_seat(&sk).unwrap(), (room_id.clone(), None, track));
            }
        }
    }

    #[test]
    fn the_boundaries_of_each_track_lie_together_in_the_order_of_time() {
        let at = |track, at| creation_row(track, UnixMillis(at), None);
        for track in Track::ALL {
            let (first, end) = (boundaries_from(track, UnixMillis(0)), boundaries_end(track));
            for time in [0, 1_790_000_000_000, 9_999_999_999_999_999] {
                let is_own = |row: &String| (first.clone()..end.clone()).contains(row);
                assert!(is_own(&at(track, time)) && !is_own(&at(track.other(), time)));
                assert!(at(track, time) < dismissal_row(track, UnixMillis(time)));
            }
            assert!(dismissal_row(track, UnixMillis(9)) < at(track, 10));
        }
    }

    #[test]
    fn rows_sort_by_time_within_their_section() {
        let (life, user) = ("9".parse().ok(), "u".parse().unwrap());
        let of = (life.as_ref(), Track::Media);
        let at = |time| row(Section::In, UnixMillis(time), of, &user);
        assert!(at(999) < at(1000));
        assert!(at(u64::from(u32::MAX)) < rows_end(Section::In));
        assert!(rows_from(Section::In, UnixMillis(1000)) < at(1000));
        assert!(at(999) < rows_from(Section::In, UnixMillis(1000)));
    }
}

//! How long everyone was in a room.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{app, in_time, question};
use crate::{
    domain::{Ending, LifeId, RoomId, UnixMillis},
    query::{Parameters, QueryError, cursor, rows::Earliest},
    record::{PersonReport, Record, RoomTotals, Span, Window},
};

/// A page of the people who were in a room.
#[derive(Debug, Serialize)]
pub(in crate::query) struct RoomReport {
    provider: &'static str,
    app: String,
    room: String,
    life: Option<String>,
    as_of: u64,
    #[serde(flatten)]
    totals: Totals,
    rows: Vec<PersonRow>,
    next: Option<String>,
}

/// What a report says of the whole room, on each of its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    began_at: Option<u64>,
    /// Whether the creation never arrived: this is then the beginning of the first visit.
    began_assumed: bool,
    ended_at: Option<u64>,
    /// Whether the close never arrived: this is then the beginning of the next life.
    ended_assumed: bool,
    #[serde(rename = "final")]
    is_final: bool,
    #[serde(deserialize_with = "digest")]
    digest: String,
    people: usize,
    /// How many users were only there as admins, which are not people.
    admins: usize,
    person_ms: u64,
    peak: Peak,
    missing: Option<u64>,
}

/// The most people at one moment, and when that was first so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Peak {
    online: usize,
    at: Option<u64>,
}

/// Somebody who was there.
#[derive(Debug, Serialize)]
struct PersonRow {
    user: String,
    name: Option<String>,
    roles: Vec<String>,
    first_entered_at: Option<u64>,
    last_left_at: Option<u64>,
    visits: usize,
    present_ms: u64,
    /// Of the room's life, in four digits.
    share: Option<f64>,
    reason: Option<String>,
    assumed: bool,
    #[serde(skip)]
    present: Vec<Span>,
}

/// Where a page ended, and what the first page says of the whole room.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    after: String,
    life: Option<LifeId>,
    from: UnixMillis,
    to: UnixMillis,
    as_of: UnixMillis,
    totals: Totals,
}

/// Reads a digest. A cursor comes from a client, which may put any text there.
fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hash = text.strip_prefix("sha256:").unwrap_or_default();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(de::Error::custom("is no digest"));
    }
    Ok(text)
}

/// A page of the report of a room, by the bytes of the ids of its people.
///
/// The index has no such order. So each page reads all seats of the life, but keeps no more rows than
/// it returns. The first page also keeps the times of everyone, for the totals; later pages have the
/// totals from their cursor.
pub(in crate::query) async fn room(
    record: Record<'_>,
    room: &RoomId,
    parameters: &Parameters,
) -> Result<RoomReport, QueryError> {
    let place = parameters.get("next")?.map(cursor::read::<Place>).transpose()?;
    let as_of = place.as_ref().map_or(record.now(), |place| place.as_of.min(record.now()));
    let (window, asked) = (parameters.window(as_of)?, parameters.life()?);
    if let Some(place) = &place {
        let is_same = (place.from, place.to) == (window.from, window.to)
            && (asked.is_none() || asked == place.life);
        if !is_same {
            let why = "belongs to another `life`, `from` or `to`: start again without it";
            return Err(QueryError::BadParameter("next", why.to_owned()));
        }
    }
    let limit = parameters.limit()?;
    // The newest life may be another one by now.
    let life = place.as_ref().map_or(asked, |place| place.life.clone());
    let question = question(parameters, life.as_ref(), window)?;
    let report = Box::pin(async {
        let mut report = record.room_report(room, question).await?;
        let mut rows = Earliest::<String, PersonRow>::new(limit);
        while let Some(person) = report.next().await? {
            let user = person.user.to_string();
            if place.as_ref().is_none_or(|place| user > place.after) && rows.may_take(&user) {
                rows.take(user, PersonRow::new(record, person));
            }
        }
        Ok((rows.into_page(), report))
    });
    let instead = ", or for /attendance, which has every visit page by page";
    let ((mut rows, last), report) = in_time(report, instead).await?;
    let first_page = || {
        let totals = report.totals();
        (totals.life.clone(), Totals::from(totals))
    };
    let (life, totals) = place.map_or_else(first_page, |place| (place.life, place.totals));
    for row in &mut rows {
        row.share = totals.share(window, &row.present);
    }
    let (provider, app) = app(record);
    let next = last.and_then(|after| {
        let Window { from, to, as_of } = window;
        cursor::write(&Place { after, life: life.clone(), from, to, as_of, totals: totals.clone() })
    });
    Ok(RoomReport {
        provider,
        app,
        room: room.to_string(),
        life: life.map(|life| life.to_string()),
        as_of: as_of.0,
        totals,
        rows,
        next,
    })
}

impl Totals {
    fn share(&self, window: Window, present: &[Span]) -> Option<f64> {
        let (began, ended) = (self.began_at.map(UnixMillis), self.ended_at.map(UnixMillis));
        window.share_of_life(began, ended, present).map(|share| f64::from(share) / 10_000.0)
    }
}

impl From<RoomTotals> for Totals {
    fn from(totals: RoomTotals) -> Self {
        Self {
            began_at: totals.began_at.map(|at| at.0),
            began_assumed: totals.began_assumed,
            ended_at: totals.ended_at.map(|at| at.0),
            ended_assumed: totals.ended_assumed,
            is_final: totals.is_final,
            digest: totals.digest.to_string(),
            people: totals.people,
            admins: totals.admins,
            person_ms: totals.person_ms,
            peak: Peak {
                online: totals.peak.map_or(0, |peak| peak.online),
                at: totals.peak.map(|peak| peak.at.0),
            },
            missing: totals.missing,
        }
    }
}

impl PersonRow {
    fn new(record: Record<'_>, person: PersonReport) -> Self {
        let PersonReport { user, name, roles, figures, ending, is_assumed } = person;
        Self {
            user: user.to_string(),
            name,
            roles: roles.into_iter().map(|role| record.role_name(role).into_owned()).collect(),
            first_entered_at: figures.first_entered_at.map(|at| at.0),
            last_left_at: figures.last_left_at.map(|at| at.0),
            visits: figures.visits,
            present_ms: figures.present_ms(),
            share: None,
            reason: ending.map(Ending::reason),
            assumed: is_assumed,
            present: figures.present,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}

//! How long everyone was in a room.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{QueryLimits, in_time, question};
use crate::{
    domain::{AppId, LifeId, ProviderName, RoomId, UnixMillis, UserId},
    query::{
        Parameters, QueryError,
        answer::List,
        cursor,
        names::{ReasonName, RoleName},
        rows::Earliest,
    },
    record::{PersonReport, Record, RoomTotals, Span, Window},
};

/// A page of the people who were in a room.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::query) struct RoomReport {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// The room.
    room: RoomId,
    /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
    life: Option<LifeId>,
    /// When the first page was asked for. A visit that lasts has lasted until then.
    as_of: UnixMillis,
    #[serde(flatten)]
    totals: Totals,
    /// The people who were there, in the byte order of their ids.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    rows: Vec<PersonRow>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// What a report says of the whole room, on each of its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    /// When the life began. Of Tencent's rooms and ZIM's, the first creation in the span. Null if
    /// there is none.
    began_at: Option<UnixMillis>,
    /// Whether the creation never arrived: `began_at` is then the beginning of the first visit.
    began_assumed: bool,
    /// When the life ended. Null while it lasts. Of Tencent's rooms and ZIM's, the last dismissal in
    /// the span, unless the room was created again.
    ended_at: Option<UnixMillis>,
    /// Whether the close never arrived: `ended_at` is then the beginning of the next life.
    ended_assumed: bool,
    /// Whether no callback is expected that could change the report: its life has ended, and so has
    /// the time `settle`. A room without lives is final when `to` and `settle` have passed and
    /// nobody is in.
    #[serde(rename = "final")]
    is_final: bool,
    /// Of the life, its beginning and its end, and of each person's `user`, `first_entered_at`,
    /// `last_left_at`, `visits` and `present_ms`; `docs/design.md` has its form. It differs if any
    /// of these changes.
    #[serde(deserialize_with = "digest")]
    #[cfg_attr(test, schemars(regex(pattern = "^sha256:[0-9a-f]{64}$")))]
    digest: String,
    /// How many rows all pages have.
    people: usize,
    /// How many users were only there as `admin`. They are not people and have no rows.
    admins: usize,
    /// The sum of `present_ms` over all pages, in milliseconds.
    person_ms: u64,
    /// The most people at one moment.
    peak: Peak,
    /// The smallest number of lost callbacks of the life that explains what arrived. Null for
    /// Tencent and ZIM, which do not number them.
    missing: Option<u64>,
}

/// The most people at one moment, and when that was first so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Peak {
    /// How many people.
    online: usize,
    /// When so many were first there. Null if nobody was there for any time.
    at: Option<UnixMillis>,
}

/// Somebody who was there.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PersonReport"))]
pub(in crate::query) struct PersonRow {
    /// Who it was.
    user: UserId,
    /// The newest name of this person in that life of the room. Null if the provider sent none.
    name: Option<String>,
    /// All roles of the person, in the order in which they had them.
    roles: Vec<RoleName>,
    /// When the first visit began. Null if only its end is known.
    first_entered_at: Option<UnixMillis>,
    /// When the last visit ended. Null while it lasts.
    last_left_at: Option<UnixMillis>,
    /// How many visits there were.
    visits: usize,
    /// How long the person was present, in the span and in the life, in milliseconds. Visits that
    /// overlap count once. A visit without a known beginning adds nothing.
    present_ms: u64,
    /// The share of the life that the person was present, of its part in the span, cut to four
    /// digits. Null if that part has no length or no known beginning.
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
    share: Option<f64>,
    /// How the last visit ended. Null while it lasts.
    reason: Option<ReasonName>,
    /// Whether the beginning or the end of any visit was inferred.
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

impl super::Place for Place {
    const QUESTION: &'static str = "`life`, `from` or `to`";

    fn window(&self) -> Window {
        Window { from: self.from, to: self.to, as_of: self.as_of }
    }
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
    limits: QueryLimits,
) -> Result<RoomReport, QueryError> {
    let asked = parameters.life()?;
    let is_of = |place: &Place| asked.is_none() || asked == place.life;
    let (window, place) = super::page(record, parameters, is_of)?;
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
    let ((mut rows, last), report) = in_time(limits.time, report, instead).await?;
    let first_page = || {
        let totals = report.totals();
        (totals.life.clone(), Totals::from(totals))
    };
    let (life, totals) = place.map_or_else(first_page, |place| (place.life, place.totals));
    for row in &mut rows {
        row.share = totals.share(window, &row.present);
    }
    let next = last.and_then(|after| {
        let Window { from, to, as_of } = window;
        cursor::write(&Place { after, life: life.clone(), from, to, as_of, totals: totals.clone() })
    });
    Ok(RoomReport {
        provider: record.app().provider,
        app: record.app().id.clone(),
        room: room.clone(),
        life,
        as_of: window.as_of,
        totals,
        rows,
        next,
    })
}

impl List for RoomReport {
    type Row = PersonRow;

    fn rows(&self) -> &[PersonRow] {
        &self.rows
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl Totals {
    fn share(&self, window: Window, present: &[Span]) -> Option<f64> {
        let share = window.share_of_life(self.began_at, self.ended_at, present);
        share.map(|share| f64::from(share) / 10_000.0)
    }
}

impl From<RoomTotals> for Totals {
    fn from(totals: RoomTotals) -> Self {
        Self {
            began_at: totals.began_at,
            began_assumed: totals.began_assumed,
            ended_at: totals.ended_at,
            ended_assumed: totals.ended_assumed,
            is_final: totals.is_final,
            digest: totals.digest.to_string(),
            people: totals.people,
            admins: totals.admins,
            person_ms: totals.person_ms,
            peak: Peak {
                online: totals.peak.map_or(0, |peak| peak.online),
                at: totals.peak.map(|peak| peak.at),
            },
            missing: totals.missing,
        }
    }
}

impl PersonRow {
    fn new(record: Record<'_>, person: PersonReport) -> Self {
        let PersonReport { user, name, roles, figures, ending, is_assumed } = person;
        Self {
            user,
            name,
            roles: roles.into_iter().map(|role| record.role_name(role).into()).collect(),
            first_entered_at: figures.first_entered_at,
            last_left_at: figures.last_left_at,
            visits: figures.visits,
            present_ms: figures.present_ms(),
            share: None,
            reason: ending.map(ReasonName::from),
            assumed: is_assumed,
            present: figures.present,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}

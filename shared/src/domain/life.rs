//! One life of a room, with what is known of it.

use super::{Boundary, LifeId, UnixMillis};

/// One life of a room. Each end is known only once its callback has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Which life.
    pub id: LifeId,
    /// When it began, by its creation callback.
    pub created: Option<UnixMillis>,
    /// When it ended. A closed life stays closed.
    pub closed: Option<UnixMillis>,
    /// The earliest login that a reader has seen in it.
    pub first_login: Option<UnixMillis>,
    /// When the provider last confirmed who is in, by our clock.
    pub checked: Option<UnixMillis>,
}

impl Life {
    /// A life of which nothing is known yet.
    #[must_use]
    pub fn unknown(id: LifeId) -> Self {
        Self { id, created: None, closed: None, first_login: None, checked: None }
    }

    /// Records a login in this life.
    pub fn saw_login(&mut self, at: UnixMillis) {
        self.first_login = Some(self.first_login.map_or(at, |first| first.min(at)));
    }

    /// When it was created and closed, as far as is known.
    pub fn boundaries(&self) -> impl Iterator<Item = Boundary> + use<> {
        let created = self.created.map(|at| Boundary::Created { at, creator: None });
        created.into_iter().chain(self.closed.map(|at| Boundary::Closed { at, reason: None }))
    }

    /// When it began, as far as is known: its creation, else the earliest login seen, else its
    /// close.
    #[must_use]
    pub fn began(&self) -> Option<UnixMillis> {
        self.created.or(self.first_login).or(self.closed)
    }

    /// The newest of some lives of one room. Never by number: by the time they began. At the same
    /// millisecond the one that is still open is newer, since one life ends before the next begins.
    #[must_use]
    pub fn newest(lives: impl IntoIterator<Item = Self>) -> Option<Self> {
        lives.into_iter().max_by(|a, b| {
            let key = |life: &Self| (life.began(), life.closed.is_none(), life.created.is_some());
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(id: &str, created: Option<u64>, first_login: Option<u64>, closed: Option<u64>) -> Life {
        Life {
            id: id.parse().unwrap(),
            created: created.map(UnixMillis),
            closed: closed.map(UnixMillis),
            first_login: first_login.map(UnixMillis),
            checked: None,
        }
    }

    fn newest(lives: &[Life]) -> String {
        Life::newest(lives.to_vec()).unwrap().id.to_string()
    }

    #[test]
    fn the_newest_life_is_never_chosen_by_its_number() {
        let old = life("999", Some(100), None, Some(200));
        let new = life("1", Some(300), None, None);
        assert_eq!(newest(&[old.clone(), new.clone()]), "1");
        assert_eq!(newest(&[new, old]), "1");
    }

    #[test]
    fn a_life_began_at_its_creation_else_its_first_login_else_its_close() {
        assert_eq!(life("1", Some(5), Some(3), Some(9)).began(), Some(UnixMillis(5)));
        assert_eq!(life("1", None, Some(3), Some(9)).began(), Some(UnixMillis(3)));
        assert_eq!(life("1", None, None, Some(9)).began(), Some(UnixMillis(9)));
        assert_eq!(life("1", None, None, None).began(), None);
    }

    #[test]
    fn a_life_that_began_in_the_ms_the_last_one_closed_is_the_newer_one() {
        let closed = life("2", None, None, Some(100));
        let open = life("1", Some(100), None, None);
        assert_eq!(newest(&[closed.clone(), open.clone()]), "1");
        assert_eq!(newest(&[open, closed]), "1");
    }
}

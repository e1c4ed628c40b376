//! What is stored about a person, as it is stored; and who was erased.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Record, RecordError};
use crate::domain::UserId;
pub use crate::store::{Erasure, PersonContent, PersonItem};

impl<'a> Record<'a> {
    /// Everything that is stored about a person, beginning after a place. About `at_first` items
    /// are read at once.
    #[must_use]
    pub fn everything_about(
        self,
        user: &'a UserId,
        after: Option<&str>,
        at_first: usize,
    ) -> BoxStream<'a, Result<PersonItem, RecordError>> {
        self.store.person(self.app, user, after, at_first, self.now).err_into().boxed()
    }

    /// The people of the app who were erased, in the order of their hashes, beginning after one.
    #[must_use]
    pub fn erasures(self, after: Option<&str>) -> BoxStream<'a, Result<Erasure, RecordError>> {
        self.store.list_erasures(self.app, after, self.now).err_into().boxed()
    }
}

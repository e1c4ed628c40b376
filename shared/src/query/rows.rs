//! The rows of one page: as many as were asked for, and no more than Lambda can carry.

use std::{collections::BTreeMap, ops::ControlFlow};

use serde::Serialize;

use crate::payload;

/// How long the rows of one page may be, in bytes as Lambda counts them. With all that is around
/// them an answer stays below 5 MB, of the 6 MB that Lambda carries. No single row comes near it,
/// since an item of DynamoDB has 400 KB, of which escaping makes seven times as much at most.
const MAX_BYTES: usize = 5_000_000 - (32 << 10);

fn bytes(row: &impl Serialize) -> usize {
    // A comma follows.
    payload::body_bytes(row) + 1
}

/// The rows of a page, added in their order.
#[derive(Debug)]
pub(super) struct Rows<R> {
    rows: Vec<R>,
    limit: usize,
    bytes: usize,
}

impl<R: Serialize> Rows<R> {
    /// A page of up to `limit` rows.
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: Vec::new(), limit, bytes: 0 }
    }

    /// Adds the next row. Breaks if the page is full: the row then is the first of the next page.
    /// A page is never full without a row.
    #[must_use = "a row that does not fit belongs on the next page"]
    pub(super) fn add(&mut self, row: R) -> ControlFlow<()> {
        if self.rows.len() == self.limit {
            return ControlFlow::Break(());
        }
        let bytes = self.bytes + bytes(&row);
        if bytes > MAX_BYTES && !self.rows.is_empty() {
            return ControlFlow::Break(());
        }
        self.bytes = bytes;
        self.rows.push(row);
        ControlFlow::Continue(())
    }

    pub(super) fn into_vec(self) -> Vec<R> {
        self.rows
    }
}

/// The rows of a page that are found in no order: those that come first by their places.
///
/// It keeps one row more than the page has, which says that another page follows.
#[derive(Debug)]
pub(super) struct Earliest<P, R> {
    rows: BTreeMap<P, (R, usize)>,
    limit: usize,
    bytes: usize,
}

impl<P: Ord, R: Serialize> Earliest<P, R> {
    /// A page of up to `limit` rows.
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: BTreeMap::new(), limit, bytes: 0 }
    }

    /// Whether a row at this place may still be on the page.
    pub(super) fn may_take(&self, place: &P) -> bool {
        let is_over = self.is_over(self.rows.len(), self.bytes);
        !is_over || self.rows.last_key_value().is_none_or(|(last, _)| place < last)
    }

    pub(super) fn take(&mut self, place: P, row: R) {
        let bytes = bytes(&row);
        self.bytes += bytes;
        // A row at the same place is a newer one.
        self.bytes -= self.rows.insert(place, (row, bytes)).map_or(0, |(_, replaced)| replaced);
        while let Some(last) = self.rows.last_entry() {
            let without = self.bytes - last.get().1;
            if !self.is_over(self.rows.len() - 1, without) {
                break;
            }
            self.rows.pop_last();
            self.bytes = without;
        }
    }

    fn is_over(&self, rows: usize, bytes: usize) -> bool {
        rows > self.limit || (bytes > MAX_BYTES && rows > 1)
    }

    /// The rows of the page, and the place of the last one if another page follows.
    pub(super) fn into_page(self) -> (Vec<R>, Option<P>) {
        let mut rows = Rows::new(self.limit);
        let mut last = None;
        for (place, (row, _)) in self.rows {
            if rows.add(row).is_break() {
                return (rows.into_vec(), last);
            }
            last = Some(place);
        }
        (rows.into_vec(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of rows of some lengths; all of them in order.
    fn pages(rows: &[usize], limit: usize) -> Vec<Vec<usize>> {
        let (mut pages, mut after) = (Vec::new(), None::<usize>);
        loop {
            let mut page = Earliest::new(limit);
            // In no order: first the odd ones, then the even ones backwards.
            let odd = (0..rows.len()).filter(|place| place % 2 == 1);
            let even = (0..rows.len()).rev().filter(|place| place % 2 == 0);
            for place in odd.chain(even) {
                if after.is_none_or(|after| place > after) && page.may_take(&place) {
                    page.take(place, "x".repeat(rows[place]));
                }
            }
            let (found, next) = page.into_page();
            pages.push(found.iter().map(String::len).collect());
            match next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn every_row_is_on_one_page_whatever_its_length_and_no_page_is_too_long() {
        let mega = 1 << 20;
        for rows in [
            vec![],
            vec![1; 10],
            vec![mega; 12],
            vec![3 * mega, 1, 3 * mega, 1, 1, 5 * mega, 2 * mega],
            vec![9 * mega, 9 * mega, 1],
        ] {
            for limit in [1, 3, 100] {
                let pages = pages(&rows, limit);
                assert_eq!(pages.concat(), rows, "{limit}");
                for page in &pages {
                    let bytes: usize = page.iter().sum();
                    assert!(bytes <= MAX_BYTES || page.len() == 1, "{page:?}");
                    assert!(page.len() <= limit, "{page:?}");
                }
                // No page is shorter than it has to be.
                for two in pages.windows(2) {
                    let bytes = two[0].iter().sum::<usize>() + two[1][0];
                    assert!(two[0].len() == limit || bytes + 100 > MAX_BYTES, "{two:?}");
                }
            }
        }
    }
}

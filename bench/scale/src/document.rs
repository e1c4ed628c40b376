//! The tables and the picture of the day in `docs/`.

use std::{fs, io, path::Path};

use crate::day::Report;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
const PAGE: &str = "scale.md";
const PICTURE: &str = "scale.svg";
const BEGIN: &str = "<!-- bench/scale/run writes this -->\n";
const END: &str = "<!-- to here -->";

/// A page with these tables between its two marks; `None` if it has no marks.
fn with_tables(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, "\n", tables, "\n", END, after].concat())
}

/// Writes them.
pub(crate) fn write(report: &Report) -> io::Result<()> {
    let page = Path::new(DOCS).join(PAGE);
    let text = with_tables(&fs::read_to_string(&page)?, &report.tables)
        .ok_or_else(|| io::Error::other(format!("{PAGE} has no place for the tables")))?;
    fs::write(page, text)?;
    fs::write(Path::new(DOCS).join(PICTURE), &report.picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_tables_and_the_picture_of_today() {
        let report = crate::day::report();
        let page = fs::read_to_string(Path::new(DOCS).join(PAGE)).unwrap();
        let picture = fs::read_to_string(Path::new(DOCS).join(PICTURE)).unwrap();
        assert!(
            with_tables(&page, &report.tables).unwrap() == page,
            "docs/scale.md: bench/scale/run writes it anew"
        );
        assert!(report.picture == picture, "docs/scale.svg: bench/scale/run writes it anew");
    }
}

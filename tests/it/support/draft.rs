//! The routes of `shared/src/routes.rs` that must also be in other files. A test names what is
//! missing there. With `ROLLCALL_WRITE=1` it writes a draft: a copy of the part for the callback
//! type before it in the table. A person must review the draft.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rollcall::routes::{CALLBACKS, CallbackNames};

/// A text file of the project, and its missing parts.
pub(crate) struct Draft {
    path: PathBuf,
    text: String,
    added: Vec<String>,
    /// What only a person can write.
    missing: Vec<String>,
}

impl Draft {
    /// A file by its path in the project. A missing file counts as empty.
    pub(crate) fn of(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self { path, text, added: Vec::new(), missing: Vec::new() }
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// Records a missing part that only a person can write.
    pub(crate) fn lacks(&mut self, what: &str) {
        self.missing.push(what.to_owned());
    }

    /// Inserts `text` after the block that begins with the line `header`.
    pub(crate) fn add_after(&mut self, header: &str, what: &str, text: &str) {
        let Some((start, block)) = self.block(header) else { return self.lacks(what) };
        let end = start + block.len();
        let gap = if self.text[end..].starts_with("\n\n") { "\n\n" } else { "\n" };
        self.text.insert_str(end, &format!("{gap}{}", text.trim_end()));
        self.added.push(what.to_owned());
    }

    /// Adds a value to the end of a loop's list in the template.
    pub(crate) fn add_to_loop(&mut self, name: &str, what: &str) {
        let end = self.block(&format!("  {name}:")).and_then(|(start, block)| {
            let list = block.find("\n    - [")?;
            Some(start + list + block[list..].find(']')?)
        });
        let Some(end) = end else { return self.lacks(&format!("{what} in {name}")) };
        self.text.insert_str(end, &format!(", {what}"));
        self.added.push(format!("{what} in {name}"));
    }

    /// Appends `text`.
    pub(crate) fn append(&mut self, what: &str, text: &str) {
        self.text.push_str(text);
        self.added.push(what.to_owned());
    }

    /// The block that begins with the line `header`: all lines that are indented deeper.
    pub(crate) fn block(&self, header: &str) -> Option<(usize, &str)> {
        let start = match self.text.strip_prefix(header) {
            Some(_) => 0,
            None => self.text.find(&format!("\n{header}\n"))? + 1,
        };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut end = start + header.len();
        let mut seen = end;
        for line in self.text[end..].split_inclusive('\n').skip(1) {
            if !line.trim().is_empty() && indent(line) <= indent(header) {
                break;
            }
            seen += line.len();
            if !line.trim().is_empty() {
                end = seen;
            }
        }
        Some((start, &self.text[start..end]))
    }

    /// Reports what is missing, or writes it.
    pub(crate) fn finish(self) {
        let Self { path, text, added, missing } = self;
        let file = path.display();
        assert!(missing.is_empty(), "{file} lacks {missing:?}: see shared/src/routes.rs");
        if added.is_empty() {
            return;
        }
        assert!(
            std::env::var_os("ROLLCALL_WRITE").is_some_and(|value| value == "1"),
            "{file} lacks {added:?}: write it, or run ROLLCALL_WRITE=1 cargo test, which writes a draft"
        );
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        eprintln!("wrote {added:?} to {file}: read it");
    }
}

/// The callback type that a new one is copied from: the last before it of its provider.
pub(crate) fn pattern(new: &CallbackNames) -> Option<&'static CallbackNames> {
    let before = CALLBACKS.iter().take_while(|names| *names != new);
    before.filter(|names| names.provider == new.provider).last()
}

/// The name of a callback type's resources in the template.
pub(crate) fn logical_id(names: &CallbackNames) -> String {
    let (_, rest) = names.function.split_once('-').unwrap();
    format!("{:?}{}", names.provider, camel(rest))
}

/// `room-close` becomes `RoomClose`.
pub(crate) fn camel(words: &str) -> String {
    let mut camel = String::new();
    for word in words.split(|c: char| !c.is_ascii_alphanumeric()) {
        let Some((first, rest)) = word.split_at_checked(1) else { continue };
        camel.push_str(&first.to_uppercase());
        camel.push_str(rest);
    }
    camel
}

/// The text for `old`, with the names of `new`.
pub(crate) fn renamed(text: &str, old: &CallbackNames, new: &CallbackNames) -> String {
    let lower = |names: &CallbackNames| {
        let camel = camel(names.function);
        format!("{}{}", names.function.split_at(1).0, &camel[1..])
    };
    let type_of = |names: &CallbackNames| names.path_of_type.rsplit("::").next().unwrap();
    text.replace(old.path_of_type, new.path_of_type)
        .replace(old.paths[0], new.paths[0])
        .replace(
            &format!("{:?}{}", old.provider, type_of(old)),
            &format!("{:?}{}", new.provider, type_of(new)),
        )
        .replace(&logical_id(old), &logical_id(new))
        .replace(&lower(old), &lower(new))
        .replace(old.function, new.function)
        .replace(old.event, new.event)
}

//! A file that is not whole yet: `FILE.part` has the rows, `FILE.part.json` how far they are right.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{Export, ExportError, Place, Sink};

/// The file of an export while it is written.
#[derive(Debug)]
pub struct Part {
    file: File,
    whole: PathBuf,
    part: PathBuf,
    state: PathBuf,
}

impl Part {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// [`ExportError::Resume`] if an earlier export of this file was interrupted,
    /// [`ExportError::Write`] if it cannot be created.
    pub fn begin(whole: &Path) -> Result<Self, ExportError> {
        let (part, state) = names(whole);
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Ok(file) => Ok(Self { file, whole: whole.to_owned(), part, state }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(ExportError::Resume(format!(
                    "{} is there from an export that was interrupted: add --resume to continue it, \
                     or delete it",
                    part.display()
                )))
            }
            Err(error) => Err(failed(&part, error)),
        }
    }

    /// Continues a file, and returns how far it is. What was written after that place is removed.
    /// `None`, if nothing but its name was missing.
    ///
    /// # Errors
    ///
    /// [`ExportError::Resume`] if there is nothing to continue, or it is of another export.
    pub fn resume(whole: &Path, export: &Export) -> Result<Option<(Self, Place)>, ExportError> {
        let (part, state) = names(whole);
        let text = match fs::read(&state) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && part.exists() => {
                // It was interrupted before its first page.
                let file = File::create(&part).map_err(|error| failed(&part, error))?;
                let whole = whole.to_owned();
                return Ok(Some((Self { file, whole, part, state }, export.start())));
            }
            Err(error) => {
                return Err(ExportError::Resume(format!(
                    "there is nothing to continue: {} cannot be read: {error}",
                    state.display()
                )));
            }
        };
        let place = serde_json::from_slice(&text).map_err(|error| {
            ExportError::Resume(format!("{} is damaged: {error}", state.display()))
        })?;
        let place = export.check(place)?;
        let mut file = match OpenOptions::new().write(true).open(&part) {
            Ok(file) => file,
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && export.is_done(&place)
                    && whole.exists() =>
            {
                fs::remove_file(&state).map_err(|error| failed(&state, error))?;
                return Ok(None);
            }
            Err(error) => return Err(failed(&part, error)),
        };
        let length = file.metadata().map_err(|error| failed(&part, error))?.len();
        if length < place.bytes {
            return Err(ExportError::Resume(format!(
                "{} has {length} bytes, and should have {} or more: export it again",
                part.display(),
                place.bytes
            )));
        }
        let at_its_end = file.set_len(place.bytes).and_then(|()| file.seek(SeekFrom::End(0)));
        at_its_end.map_err(|error| failed(&part, error))?;
        Ok(Some((Self { file, whole: whole.to_owned(), part, state }, place)))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// [`ExportError::Write`].
    pub fn finish(self) -> Result<(), ExportError> {
        self.file.sync_all().map_err(|error| failed(&self.part, error))?;
        fs::rename(&self.part, &self.whole).map_err(|error| failed(&self.whole, error))?;
        match fs::remove_file(&self.state) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.state, error)),
            _ => Ok(()),
        }
    }

    /// Removes what was written.
    pub fn discard(self) {
        // If it stays, the next export says that it is there.
        let _ = fs::remove_file(&self.part);
        let _ = fs::remove_file(&self.state);
    }
}

impl Sink for Part {
    fn write(&mut self, csv: &str, after: &Place) -> Result<(), ExportError> {
        // The rows first: what is not in the state is removed, and what is has to be there.
        let written = self.file.write_all(csv.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| failed(&self.part, error))?;
        let new = with_suffix(&self.state, ".new");
        let json = serde_json::to_vec(after).unwrap_or_default();
        let written = fs::write(&new, json).and_then(|()| fs::rename(&new, &self.state));
        written.map_err(|error| failed(&self.state, error))
    }
}

fn names(whole: &Path) -> (PathBuf, PathBuf) {
    (with_suffix(whole, ".part"), with_suffix(whole, ".part.json"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed(path: &Path, error: impl fmt::Display) -> ExportError {
    ExportError::Write(format!("{} cannot be written: {error}", path.display()))
}

//! The page's files, embedded in the program.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::reply::message;

/// The page.
const PAGE: &str = "index.html";

/// How many bytes of a file's hash identify its content.
const TAG_BYTES: usize = 16;

/// One of them.
#[derive(Debug)]
pub struct File {
    /// Its name in `local/board/`.
    pub name: &'static str,
    /// Its content.
    pub content: &'static [u8],
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// All files in `local/board/`.
        pub static FILES: [File; [$($name),+].len()] =
            [$(File { name: $name, content: include_bytes!(concat!("../../board/", $name)) }),+];
    };
}
files![
    "index.html",
    "api.js",
    "app.js",
    "board.css",
    "callbacks.js",
    "changes.js",
    "chart.js",
    "dom.js",
    "icon.svg",
    "list.js",
    "live.js",
    "overview.js",
    "person.js",
    "room.js",
];

impl File {
    /// Its media type, by its extension.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.name.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            _ => "application/octet-stream",
        }
    }

    /// What identifies its content: the header `etag`.
    fn tag(&self) -> String {
        format!("\"{}\"", hex::encode(&Sha256::digest(self.content)[..TAG_BYTES]))
    }
}

/// The files with what identifies their content, by their names. Hashed when the page is first
/// opened: the start does not wait for it.
static BY_NAME: LazyLock<HashMap<&str, (&File, String)>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.name, (file, file.tag()))).collect());

/// `GET /`
pub(super) async fn page(headers: HeaderMap) -> Response {
    file(PAGE, &headers)
}

/// `GET /board/{name}`
pub(super) async fn named(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

/// A file, or that the browser has it already. A new program's files are seen at the next load.
fn file(name: &str, asked: &HeaderMap) -> Response {
    let Some((file, tag)) = BY_NAME.get(name) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let headers = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let mut known = known.flat_map(|tags| tags.split(',')).map(str::trim);
    if known.any(|known| known == "*" || known.trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let mut response = (headers, file.content).into_response();
    let media_type = HeaderValue::from_static(file.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

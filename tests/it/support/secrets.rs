//! Promise 8 in the whole test run: everything that passes a proxy, is logged, or is printed by a
//! function is searched for the tests' secrets. A secret that is found ends the run.

use std::{
    io::{self, Write},
    sync::Once,
};

use rollcall_local::board::log_line;
use tracing_subscriber::{
    Layer, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::{
    CHAT_TOKEN, LIVE_TOKEN, OPENIM_PASSWORD, OPENIM_SECRET, OTHER_SECRET, OTHER_SERVER_SECRET,
    OTHER_TENCENT_KEY, PREVIOUS_ROOM_KEY, PREVIOUS_SECRET, PREVIOUS_SERVER_SECRET,
    PREVIOUS_TENCENT_KEY, ROOM_KEY, SECRET, SERVER_SECRET, TENCENT_KEY, TRTC_KEY,
};

/// The secret key of AWS credentials.
pub(crate) const AWS_SECRET: &str = "d3d9446802a44259755d38e6d163e820";

const ALL: [&str; 17] = [
    SECRET,
    PREVIOUS_SECRET,
    OTHER_SECRET,
    SERVER_SECRET,
    PREVIOUS_SERVER_SECRET,
    OTHER_SERVER_SECRET,
    OPENIM_SECRET,
    OPENIM_PASSWORD,
    CHAT_TOKEN,
    TRTC_KEY,
    LIVE_TOKEN,
    ROOM_KEY,
    PREVIOUS_ROOM_KEY,
    TENCENT_KEY,
    PREVIOUS_TENCENT_KEY,
    OTHER_TENCENT_KEY,
    AWS_SECRET,
];

/// The first secret that a text holds.
pub(crate) fn find(text: &str) -> Option<&'static str> {
    ALL.into_iter().find(|secret| text.contains(secret))
}

/// Ends the test run if a text holds a secret. In a background task, a panic would be lost.
pub(crate) fn expect_none(place: &str, text: &str) {
    if let Some(secret) = find(text) {
        end_the_run(&format!("promise 8 is broken: {place} holds the secret {secret}: {text}"));
    }
}

/// Ends the test run. What it prints is not captured: nobody would see it any more.
pub(crate) fn end_the_run(text: &str) -> ! {
    let _ = writeln!(io::stderr(), "{text}");
    std::process::exit(101);
}

/// From now on, everything that is logged in this process is searched.
pub(crate) fn watch_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt::layer().json().with_writer(Searched);
        let lines = lines.with_filter(LevelFilter::DEBUG);
        // Some tests have their own log.
        let _ = tracing_subscriber::registry().with(lines).with(log_line::layer()).try_init();
    });
}

/// The log's destination: it is searched and dropped.
struct Searched;

impl io::Write for Searched {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        expect_none("the log", &String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Searched {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

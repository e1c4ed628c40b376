//! What the log says of a callback. It is one line, on a laptop as in the cloud, and it names apps,
//! people and rooms of verified callbacks only.

use std::{cell::RefCell, fmt};

use rollcall::metrics;
use serde::Serialize;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

/// The fields of the line, by their names there, except `message`, which is the text of the line's
/// `reason`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The provider that sent it.
    pub provider: Option<String>,
    /// The provider's name of the event.
    pub event: Option<String>,
    /// What became of it, such as `applied` or `rejected`.
    pub outcome: Option<String>,
    /// Why it was refused: a name, such as `wrong_signature`.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// The room, if it is about one.
    pub room: Option<String>,
    /// The person, if it is about one.
    pub user: Option<String>,
    /// How many changes it brought, if more than one.
    pub count: Option<u64>,
}

tokio::task_local! {
    /// Of the callback that this task answers.
    static SAID: RefCell<Said>;
}

/// What answers a callback, and what the log said meanwhile. That is nothing if the subscriber has
/// no [`layer`].
pub async fn listen<T>(answer: impl Future<Output = T>) -> (T, Said) {
    let answered = async {
        let answer = answer.await;
        (answer, SAID.with(RefCell::take))
    };
    SAID.scope(RefCell::default(), answered).await
}

/// The part of a subscriber that notes what the log says of callbacks, however little else is
/// logged.
#[must_use]
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let lines = Targets::new().with_target(metrics::CALLBACK, Level::INFO);
    Note.with_filter(lines)
}

struct Note;

impl<S: Subscriber> Layer<S> for Note {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A line of no gateway's callback is not for the board.
        let _ = SAID.try_with(|said| event.record(&mut *said.borrow_mut()));
    }
}

impl Said {
    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "provider" => &mut self.provider,
            "event" => &mut self.event,
            "outcome" => &mut self.outcome,
            "rejection" => &mut self.reason,
            "reason" => &mut self.message,
            "app" => &mut self.app,
            "room" => &mut self.room,
            "user" => &mut self.user,
            _ => return None,
        })
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(field) = self.field(field.name()) {
            *field = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            self.count = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(field) = self.field(field.name()) {
            *field = Some(format!("{value:?}"));
        }
    }
}

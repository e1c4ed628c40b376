//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// The first pause. It doubles with each further failure.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(20);

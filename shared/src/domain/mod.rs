//! The model of all providers' callbacks. It knows no wire format and no database.

mod change;
mod count;
mod creator;
mod device;
mod id;
mod life;
mod mark;
mod month;
mod observation;
mod observed;
mod outcome;
mod profile;
mod room_shards;
mod sample;
mod session;
mod settings;
mod signature_use;
mod time;
mod track;
mod united;
mod verdict;
mod visit;

pub use change::{
    Boundary, BoundaryChange, Change, Detail, Details, DeviceChange, LifeChange, Named, Registered,
    Registration, RegistrationSource, Roster, SeatChange,
};
pub use count::{Count, Counting};
pub use creator::{Creator, CreatorHash};
pub use device::{Account, Connection, Device, DeviceEvent, DeviceVerdict, Register, Stamp};
pub use id::{App, AppId, IdError, LifeId, Platform, ProviderName, RoomId, SessionId, UserId};
pub use life::Life;
pub use mark::{Kind, LeaveReason, Mark, MarkError, Order, Role};
pub use month::{Month, MonthError};
pub use observation::{
    CLOCKS_DIFFER, DeviceName, DeviceSays, DeviceSeen, Says, SeatObservation, SeatSeen, Seen,
};
pub use observed::{Observed, SEEN_ONLINE_HOLDS, SeatStay, is_ended_by, observed, observed_device};
pub use outcome::{Counts, Outcome};
pub use profile::{Profile, ProfileChange};
pub use room_shards::{RoomPattern, RoomPatternError, RoomShards, Shards};
pub use sample::{Counted, Sample};
pub use session::{
    SessionChange, SessionEvent, SessionMark, SessionState, UNKNOWN_PLATFORM, devices_of_sessions,
};
pub use settings::Settings;
pub use signature_use::SignatureUse;
pub use time::{MAX_EVENT_TIME_AHEAD, UnixMillis, UnixSeconds};
pub use track::{Track, Tracks};
pub use united::{Part, UnitedStay, united};
pub use verdict::{
    Because, By, EndRule, LastsRule, MarkRule, Moved, RegisterRule, SeenRule, TrackRule, Verdict,
    Verdicts,
};
pub use visit::{Beginning, Ending, Visit};

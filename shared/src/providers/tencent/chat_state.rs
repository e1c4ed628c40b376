//! `State.StateChange`: a device came online or went offline (Chat, "Status change").

use super::{Chat, RoomEvent, platform::platform};
use crate::{
    callback::{
        Batch, Callback, FieldError, Fields, ParseError, Parsed, Routed, Verified, elements,
    },
    domain::{
        Account, Change, Connection, DeviceChange, DeviceEvent, LeaveReason, Platform, UserId,
    },
};

const PLATFORM: &str = "OptPlatform";

/// The callback `State.StateChange`; the other commands of Chat are acknowledged.
#[derive(Debug)]
pub struct ChatState;

impl Callback for ChatState {
    type Provider = Chat;

    fn parse(request: &Verified<Chat>) -> Result<Parsed, ParseError> {
        let body = &request.body().body;
        // Those of the rooms are recorded, but not here.
        let [plain, keyed] = [RoomEvent::ROUTES[0], RoomEvent::ROUTES[1]];
        match body.required("CallbackCommand")? {
            command if command == Self::EVENT => {}
            command if command.starts_with("Live.") => {
                return Err(ParseError::WrongRoute { event: "Live.*", route: plain });
            }
            command if command.starts_with("Room.") => {
                return Err(ParseError::WrongRoute { event: "Room.*", route: keyed });
            }
            _ => return Ok(Parsed { event: Some("other"), ..Parsed::ignored() }),
        }
        let info = body.object("Info")?;
        let Some(event) = event(&info)? else { return Ok(Parsed::ignored()) };
        // Payloads of before 2021 have no time.
        let at = match body.event_time("EventTime", request.received_at()) {
            Err(FieldError::Missing(_)) => request.received_at(),
            at => at?,
        };
        let user: UserId = info.id("To_Account")?;
        let own = request.body().parameters.text(PLATFORM)?.unwrap_or_default();
        let own = platform(own).map_err(|error| FieldError::Id(PLATFORM, error))?;
        let change = |platform, event| {
            let (app, user, connection) = (request.app(), user.clone(), Connection::Unnamed);
            Change::Device(DeviceChange { app, user, platform, connection, event, at })
        };
        let mut changes = vec![change(own.clone(), event)];
        let mut left_out = None;
        if matches!(event, DeviceEvent::Online(_)) {
            let kicked = kicked(body)?;
            left_out = kicked.left_out;
            for kicked in kicked.read {
                // The login's own platform: it is another device that went.
                let event =
                    if kicked == own { DeviceEvent::KickedByItself } else { DeviceEvent::Kicked };
                changes.push(change(kicked, event));
            }
        }
        Ok(Parsed { event: None, changes, left_out })
    }
}

/// `None` for an action that says nothing about being online, such as `CustomStatusChange`.
///
/// `Reason` is `Register` at every login, and has nothing to do with registration. Until 2019 there
/// was no `Disconnect`: `Logout` came with its reasons.
fn event(info: &Fields) -> Result<Option<DeviceEvent>, FieldError> {
    let action = info.required("Action")?.to_ascii_lowercase();
    let reason = info.shown("Reason")?.unwrap_or_default().to_ascii_lowercase();
    Ok(match (action.as_str(), reason.as_str()) {
        ("login", _) => Some(DeviceEvent::Online(Account::RegistersItself)),
        ("logout" | "disconnect", "linkclose") => {
            Some(DeviceEvent::Offline(LeaveReason::Disconnected))
        }
        ("logout" | "disconnect", "timeout") => {
            Some(DeviceEvent::Offline(LeaveReason::HeartbeatTimeout))
        }
        ("logout", _) => Some(DeviceEvent::LoggedOut),
        ("disconnect", _) => Some(DeviceEvent::Offline(LeaveReason::Unspecified)),
        _ => None,
    })
}

/// The platforms whose devices this login pushed offline. One that cannot be read costs neither the
/// others nor the login: Chat does not send it again.
fn kicked(body: &Fields) -> Result<Batch<Platform>, ParseError> {
    const FIELD: &str = "KickedDevice";
    let Some(json) = body.nested(FIELD) else { return Ok(Batch::default()) };
    let devices = elements(json).ok_or(FieldError::NotObject(FIELD))?;
    let read = |device: &str| {
        let device = Fields::from_json(device).map_err(|_| FieldError::NotObject(FIELD))?;
        platform(device.required("Platform")?).map_err(|error| FieldError::Id(FIELD, error))
    };
    let mut batch = Batch::read("kicked devices", devices.into_iter().map(read))?;
    let mut seen = Vec::new();
    batch.read.retain(|platform| {
        let is_new = !seen.contains(platform);
        seen.extend(is_new.then(|| platform.clone()));
        is_new
    });
    Ok(batch)
}

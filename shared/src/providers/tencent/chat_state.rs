//! `State.StateChange`: a device came online or went offline (Chat, "Status change").

use super::{Chat, platform::platform};
use crate::{
    callback::{Callback, FieldError, Fields, ParseError, Parsed, Routed, Verified},
    domain::{Account, Change, DeviceChange, DeviceEvent, LeaveReason, Platform, UserId},
};

/// The callback `State.StateChange`; the other commands of Chat are acknowledged.
#[derive(Debug)]
pub struct ChatState;

impl Callback for ChatState {
    type Provider = Chat;

    fn parse(request: &Verified<Chat>) -> Result<Parsed, ParseError> {
        let body = &request.body().body;
        if body.required("CallbackCommand")? != Self::EVENT {
            return Ok(Parsed { event: Some("other"), ..Parsed::ignored() });
        }
        let info = body.object("Info")?;
        let Some(event) = event(&info)? else { return Ok(Parsed::ignored()) };
        // Payloads of before 2021 have no time.
        let at = match body.event_time("EventTime", request.received_at()) {
            Err(FieldError::Missing(_)) => request.received_at(),
            at => at?,
        };
        let user: UserId = info.id("To_Account")?;
        let own =
            platform(&request.body().platform).map_err(|e| FieldError::Id("OptPlatform", e))?;
        let change = |platform, event| {
            let (app, user) = (request.app(), user.clone());
            Change::Device(DeviceChange { app, user, platform, connection: None, event, at })
        };
        let mut changes = vec![change(own.clone(), event)];
        if matches!(event, DeviceEvent::Online(_)) {
            for kicked in kicked(body)? {
                // The login's own platform: it is another device that went.
                let event =
                    if kicked == own { DeviceEvent::KickedByItself } else { DeviceEvent::Kicked };
                changes.push(change(kicked, event));
            }
        }
        Ok(Parsed { event: None, changes, left_out: None })
    }
}

/// `None` for an action that says nothing about being online, such as `CustomStatusChange`.
///
/// `Reason` is `Register` at every login, and has nothing to do with registration. Until 2019 there
/// was no `Disconnect`: `Logout` came with its reasons.
fn event(info: &Fields) -> Result<Option<DeviceEvent>, FieldError> {
    let action = info.required("Action")?.to_ascii_lowercase();
    let reason = info.text("Reason")?.unwrap_or_default().to_ascii_lowercase();
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

/// The platforms whose devices this login pushed offline.
fn kicked(body: &Fields) -> Result<Vec<Platform>, FieldError> {
    const FIELD: &str = "KickedDevice";
    let Some(json) = body.nested(FIELD) else { return Ok(Vec::new()) };
    let devices: Vec<Fields> =
        serde_json::from_str(json).map_err(|_| FieldError::NotObject(FIELD))?;
    let mut platforms = Vec::new();
    for device in devices {
        let name = device.required("Platform")?;
        let platform = platform(name).map_err(|error| FieldError::Id(FIELD, error))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

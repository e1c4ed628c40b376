//! What each provider can be asked about.

use super::ReconcileError;
use crate::{
    domain::{App, UserId},
    providers::api::ApiError,
    server_api::{AccountSaid, ChatApi, NoServerApi, OpenImApi, ServerApi, ServerApis, ZegoApi},
};

/// What a provider can be asked about.
#[derive(Debug, Clone)]
pub(super) enum Api {
    /// Who is in a room, and who is online.
    Zego(ZegoApi),
    /// On which devices people are online.
    Devices(DeviceApi),
}

/// What says on which devices people are online.
#[derive(Debug, Clone)]
pub(super) enum DeviceApi {
    Chat(ChatApi),
    OpenIm(OpenImApi),
    Zim(ZegoApi),
}

impl Api {
    /// What can be asked about an app.
    pub(super) async fn of(apis: &ServerApis, app: &App) -> Result<Self, ReconcileError> {
        match apis.of(app).await {
            Ok(ServerApi::Zego(api)) => Ok(Self::Zego(api)),
            Ok(ServerApi::Chat(api)) => Ok(Self::Devices(DeviceApi::Chat(api))),
            Ok(ServerApi::OpenIm(api)) => Ok(Self::Devices(DeviceApi::OpenIm(api))),
            Err(NoServerApi::NotConfigured) => Err(ReconcileError::NoCredentials),
            Err(NoServerApi::NotRead) => Err(ReconcileError::NotRead),
        }
    }

    /// What says who is in a room.
    pub(super) fn rooms(&self) -> Option<&ZegoApi> {
        match self {
            Self::Zego(api) => Some(api),
            Self::Devices(_) => None,
        }
    }

    /// What says on which devices people are online.
    pub(super) fn devices(&self) -> DeviceApi {
        match self {
            Self::Zego(api) => DeviceApi::Zim(api.clone()),
            Self::Devices(api) => api.clone(),
        }
    }
}

impl DeviceApi {
    /// What the provider says of some people. Somebody of whom it says nothing clear is left out.
    pub(super) async fn said(&self, users: &[UserId]) -> Result<Vec<AccountSaid>, ApiError> {
        match self {
            Self::Chat(api) => api.online_status(users).await,
            Self::OpenIm(api) => api.users_status(users).await,
            Self::Zim(api) => api.online_state(users).await,
        }
    }
}

/// Whether a failure is of the API as a whole: then other questions will fail, too.
pub(super) fn is_of_all(error: &ApiError) -> bool {
    match error {
        ApiError::Status { .. } | ApiError::NoAnswer { .. } => true,
        ApiError::Refused { .. } => error.is_about_credentials() || error.is_throttled(),
        ApiError::Unreadable { .. } | ApiError::NotAsked { .. } => false,
    }
}

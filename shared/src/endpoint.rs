//! Every callback type in one list, for whoever serves them all in one process.

use futures::{FutureExt, future::BoxFuture};

use crate::{
    callback::Callback,
    config::{Apps, AppsOf},
    handler::Receiver,
    http::{Reply, Request},
    providers::{
        openim::{Any, UserOffline, UserOnline, UserRegister},
        tencent::{ChatState, TrtcEvent},
        zego::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};

/// A callback type as a value.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The name of its Lambda function.
    pub function: &'static str,
    /// The paths it is posted to.
    pub routes: &'static [&'static str],
    receive: for<'a> fn(&'a Receiver, &'a Request) -> BoxFuture<'a, Reply>,
}

impl Endpoint {
    /// All callback types.
    pub const ALL: [Self; 10] = [
        Self::of::<RoomLogin>(),
        Self::of::<RoomLogout>(),
        Self::of::<RoomCreate>(),
        Self::of::<RoomClose>(),
        Self::of::<UserRegister>(),
        Self::of::<UserOnline>(),
        Self::of::<UserOffline>(),
        Self::of::<ChatState>(),
        Self::of::<TrtcEvent>(),
        // The last one, since its routes take in the others'.
        Self::of::<Any>(),
    ];

    const fn of<C: Callback>() -> Self
    where
        Apps: AppsOf<C::Provider>,
    {
        Self {
            function: C::FUNCTION,
            routes: C::ROUTES,
            receive: |receiver, request| receiver.receive::<C>(request).boxed(),
        }
    }

    /// The callback type that is posted to `path`. A route that ends in `{proxy+}` takes whatever
    /// follows, as in an API Gateway.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let takes = |route: &str| match route.strip_suffix("{proxy+}") {
            Some(prefix) => path.starts_with(prefix),
            None => route == path,
        };
        Self::ALL.into_iter().find(|endpoint| endpoint.routes.iter().any(|route| takes(route)))
    }

    /// Takes a request from raw to reply, as [`Receiver::receive`].
    pub async fn receive(&self, receiver: &Receiver, request: &Request) -> Reply {
        (self.receive)(receiver, request).await
    }
}

//! Every callback type as a value, for a process that serves all of them.

use futures::{FutureExt, future::BoxFuture};

use crate::{
    callback::{Callback, Routed},
    handler::Receiver,
    http::{Reply, Request},
    providers::{self, Configured},
    routes::{CallbackNames, callbacks},
};

/// A callback type as a value.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The name of its Lambda function.
    pub function: &'static str,
    /// The paths it is posted to.
    pub routes: &'static [&'static str],
    /// The provider's name of the event.
    pub event: &'static str,
    receive: for<'a> fn(&'a Receiver, &'a Request) -> BoxFuture<'a, Reply>,
}

macro_rules! endpoints {
    ($($provider:ident = $module:ident {
        $($name:ident, $event:literal, $function:literal, [$($path:literal),+];)+
    })+) => {
        $($(
            impl Routed for providers::$module::$name {
                const FUNCTION: &'static str = $function;
                const ROUTES: &'static [&'static str] = &[$($path),+];
                const EVENT: &'static str = $event;
            }
        )+)+

        impl Endpoint {
            /// All callback types.
            pub const ALL: [Self; [$($($function),+),+].len()] =
                [$($(Self::of::<providers::$module::$name>()),+),+];
        }
    };
}
callbacks!(endpoints);

impl Endpoint {
    /// A callback type.
    #[must_use]
    pub const fn of<C: Callback<Provider: Configured>>() -> Self {
        Self {
            function: C::FUNCTION,
            routes: C::ROUTES,
            event: C::EVENT,
            receive: |receiver, request| receiver.receive::<C>(request).boxed(),
        }
    }

    /// The callback type that is posted to `path`, as [`CallbackNames::at`].
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let names = CallbackNames::at(path)?;
        Self::ALL.into_iter().find(|endpoint| endpoint.function == names.function)
    }

    /// Takes a request from raw to reply, as [`Receiver::receive`].
    pub async fn receive(&self, receiver: &Receiver, request: &Request) -> Reply {
        (self.receive)(receiver, request).await
    }
}

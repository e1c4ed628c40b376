//! The providers' server APIs, asked over HTTP on loopback.

mod clients;
mod server;
mod transport;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rollcall::{
    domain::{App, ProviderName, UnixMillis, UserId},
    providers::ProviderApis,
    runtime,
    server_api::{ChatApi, OpenImApi, Patience, ServerApi, ServerApis, Transport, ZegoApi},
};
use serde_json::json;

/// Secrets of these tests, which appear nowhere.
const SERVER_SECRET: &str = "a3c1f0e29d8b47658c3b2a1d0e9f8a7b";
const CHAT_KEY: &str = "77c6a5d4e3f2011f2e3d4c5b6a79887766554433221100ffeeddccbbaa998877";
const OPENIM_SECRET: &str = "the share secret of these tests";

/// For answers that come: a busy machine may be slow.
const PATIENCE: Patience =
    Patience { connection: Duration::from_secs(10), answer: Duration::from_secs(10) };

/// For answers that never come.
const IMPATIENCE: Patience =
    Patience { connection: Duration::from_millis(500), answer: Duration::from_millis(500) };

/// Clients of one app of each provider, at one server, and their clock.
struct Clients {
    zego: ZegoApi,
    chat: ChatApi,
    openim: OpenImApi,
    clock: Arc<AtomicU64>,
}

impl Clients {
    async fn at(url: &str) -> Self {
        Self::over(Transport::system(PATIENCE).unwrap(), url).await
    }

    async fn over(transport: Transport, url: &str) -> Self {
        let apis = json!({
            "zego": { "1": { "server_secret": SERVER_SECRET, "url": url } },
            "openim": { "main": { "secret": OPENIM_SECRET, "url": url } },
            "tencent": {
                "1400000000": { "admin": "administrator", "secret_key": CHAT_KEY, "url": url }
            }
        });
        let apis = ProviderApis::from_json(&apis.to_string()).unwrap();
        let clock = Arc::new(AtomicU64::new(runtime::now().0));
        let ours = clock.clone();
        let now = Arc::new(move || UnixMillis(ours.load(Ordering::SeqCst)));
        let apis = ServerApis::new(apis, transport, now);
        let of = async |provider, id: &str| {
            apis.of(&App { provider, id: id.parse().unwrap() }).await.unwrap()
        };
        let ServerApi::Zego(zego) = of(ProviderName::Zego, "1").await else { unreachable!() };
        let ServerApi::Chat(chat) = of(ProviderName::Tencent, "1400000000").await else {
            unreachable!()
        };
        let ServerApi::OpenIm(openim) = of(ProviderName::OpenIm, "main").await else {
            unreachable!()
        };
        Self { zego, chat, openim, clock }
    }
}

fn users(names: impl IntoIterator<Item = impl ToString>) -> Vec<UserId> {
    names.into_iter().map(|name| name.to_string().parse().unwrap()).collect()
}

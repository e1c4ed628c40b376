//! A handler that was written for speed: it verifies the sender, stores one item with one conditional
//! update, and logs one line. It opens its connection while it starts, when it has a whole CPU.

mod login;
mod store;

use std::{env::var, time::SystemTime};

use lambda_http::{Error, Request, Response, run, service_fn};
use serde_json::json;

use crate::{
    login::{Login, Refused},
    store::Store,
};

struct Handler {
    app: String,
    secret: String,
    store: Store,
}

impl Handler {
    async fn handle(&self, request: Request) -> Result<Response<String>, Error> {
        #[expect(clippy::disallowed_methods, reason = "this is its one clock")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let login = Login::verified(request.body(), &self.app, &self.secret, now);
        let (status, code) = match login {
            Ok(login) => {
                let stored = self.store.put(&login).await?;
                let Login { user_account, room_id, .. } = login;
                println!(
                    "{}",
                    json!({ "level": "INFO", "user": user_account, "room": room_id, "stored": stored })
                );
                (200, 0)
            }
            Err(refused) => {
                println!("{}", json!({ "level": "WARN", "refused": refused }));
                (if refused == Refused::Body { 400 } else { 401 }, 1)
            }
        };
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(format!(r#"{{"code":{code}}}"#))?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let store = Store::from_env()?;
    // If it fails, the first callback connects.
    let _ = store.read_nothing().await;
    let handler = Handler { app: var("ZEGO_APP")?, secret: var("ZEGO_CALLBACK_SECRET")?, store };
    run(service_fn(|request| handler.handle(request))).await
}

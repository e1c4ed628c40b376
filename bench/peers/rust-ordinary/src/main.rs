//! An ordinary handler: one conditional update per callback, and one line of log.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};
use serde::Deserialize;

/// ZEGOCLOUD's `room_login`, as far as it is stored.
#[derive(Deserialize)]
struct Login {
    room_id: String,
    user_account: String,
    user_nickname: String,
    session_id: String,
    login_time: String,
}

async fn handle(client: &Client, table: &str, request: Request) -> Result<Response<Body>, Error> {
    let login: Login = serde_json::from_slice(request.body())?;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let stored = client
        .update_item()
        .table_name(table)
        .key("pk", text(&format!("user#{}", login.user_account)))
        .key("sk", text(&format!("session#{}", login.session_id)))
        .update_expression("SET room_id = :room, user_nickname = :name, login_time = :at")
        .condition_expression("attribute_not_exists(pk)")
        .expression_attribute_values(":room", text(&login.room_id))
        .expression_attribute_values(":name", text(&login.user_nickname))
        .expression_attribute_values(":at", AttributeValue::N(login.login_time))
        .send()
        .await;
    let is_duplicate = match stored {
        Ok(_) => false,
        Err(error) => match error.into_service_error() {
            error if error.is_conditional_check_failed_exception() => true,
            error => return Err(error.into()),
        },
    };
    tracing::info!(user = login.user_account, room = login.room_id, is_duplicate, "callback");
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(r#"{"code":0}"#.into())?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let client = Client::new(&aws_config::load_from_env().await);
    let table = std::env::var("TABLE")?;
    run(service_fn(|request| handle(&client, &table, request))).await
}

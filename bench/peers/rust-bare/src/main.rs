//! A handler that answers at once.

use lambda_http::{Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let answer = |_: Request| async { Ok::<_, Error>(Response::new(r#"{"code":0}"#.to_owned())) };
    run(service_fn(answer)).await
}

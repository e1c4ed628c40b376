//! The board in front of a stack: questions about its apps, signed and passed on. Nothing else.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use rollcall::{
    http::{Parameters, Text},
    routes::{MatchedQuery, Policy},
};

use super::{About, ShownApp};
use crate::{
    ask::{AskError, Client, Query, query::encoded},
    reply::message,
};

/// How long an answer may take: as long as API Gateway waits for it.
const LIMIT: Duration = Duration::from_secs(30);

/// A stack, and what may be asked about.
#[derive(Debug)]
struct Stack {
    client: Client,
    apps: Vec<ShownApp>,
}

/// Why a request is not passed on.
#[derive(Debug, thiserror::Error)]
enum NotPassed {
    #[error("the board only asks: GET")]
    Method,
    #[error("the board has no such route")]
    Route,
    #[error("the board was not started with --app {0}/{1}")]
    App(String, String),
    #[error("an id that is not Unicode is damaged; . and .. are sent as a parameter")]
    Id,
}

impl NotPassed {
    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Route | Self::App(..) => StatusCode::NOT_FOUND,
            Self::Id => StatusCode::BAD_REQUEST,
        }
    }
}

/// The routes that are passed on to a stack.
pub(super) fn router(client: Client, about: &About) -> Router {
    let stack = Stack { client, apps: about.apps.clone() };
    Router::new().fallback(pass).with_state(Arc::new(stack))
}

async fn pass(State(stack): State<Arc<Stack>>, request: Request) -> Response {
    let query = match stack.query(request.method(), request.uri()) {
        Ok(query) => query,
        Err(error) => return message(error.status(), &error.to_string()),
    };
    match tokio::time::timeout(LIMIT, stack.client.send(&query)).await {
        Ok(Ok(answer)) if answer.status == StatusCode::FORBIDDEN => {
            // Says which permission is missing.
            let error = AskError::of(stack.client.url(), stack.client.is_signed(), &query, &answer);
            message(answer.status, &error.to_string())
        }
        Ok(Ok(answer)) => {
            let media_type = [(header::CONTENT_TYPE, answer.media_type)];
            let link = answer.next.map(|next| next_page(&query, &next));
            let link = link.map(|next| [(header::LINK, format!("<{next}>; rel=\"next\""))]);
            (answer.status, media_type, link, answer.body).into_response()
        }
        Ok(Err(error)) => message(StatusCode::BAD_GATEWAY, &error.to_string()),
        Err(_) => {
            let waited =
                format!("{} has not answered in {} s", stack.client.url(), LIMIT.as_secs());
            message(StatusCode::GATEWAY_TIMEOUT, &waited)
        }
    }
}

/// The address of the page after this one, here.
fn next_page(query: &Query, next: &str) -> String {
    let (path, parameters) = query.path.split_once('?').unwrap_or((&query.path, ""));
    let others = parameters.split('&').filter(|of| !of.is_empty() && !of.starts_with("next="));
    let next = format!("next={}", encoded(next));
    let all: Vec<&str> = others.chain([next.as_str()]).collect();
    format!("{path}?{}", all.join("&"))
}

impl Stack {
    /// The question that a request asks, written as it is signed.
    fn query(&self, method: &Method, uri: &Uri) -> Result<Query, NotPassed> {
        if *method != Method::GET {
            return Err(NotPassed::Method);
        }
        // API Gateway decodes the path as a whole, too.
        let path = percent_decode_str(uri.path()).decode_utf8().map_err(|_| NotPassed::Id)?;
        let asked = MatchedQuery::at(method, &path).ok_or(NotPassed::Route)?;
        if Policy::of(&path) != Some(Policy::Ask) {
            return Err(NotPassed::Route);
        }
        let is_asked =
            |of: &ShownApp| (of.provider.as_str(), of.app.as_str()) == (asked.provider, asked.app);
        if !self.apps.iter().any(is_asked) {
            return Err(NotPassed::App(asked.provider.to_owned(), asked.app.to_owned()));
        }
        let segments = path.trim_start_matches('/').split('/');
        let mut query = Query::get("");
        for segment in segments {
            // An URL has no such segments: others of the path would be lost.
            if matches!(segment, "." | "..") {
                return Err(NotPassed::Id);
            }
            query.path.push('/');
            query.path.push_str(&encoded(segment));
        }
        let parameters = Parameters::read(uri.query().unwrap_or_default());
        parameters.iter().try_fold(query, |query, (name, value)| match value {
            Text::Sent(value) => Ok(query.with(&encoded(name), value)),
            Text::Repaired(_) => Err(NotPassed::Id),
        })
    }
}

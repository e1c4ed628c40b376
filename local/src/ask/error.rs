//! Why there is no answer, in words for people.

use reqwest::StatusCode;
use rollcall::routes::Policy;
use serde_json::Value;

use super::{Answer, Query, table::plain};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing listens there, or the connection broke off.
    #[error("{url} does not answer{cause}{}", hint_for(url))]
    NoAnswer {
        /// Rollcall's address.
        url: String,
        /// The cause, after a colon, or nothing.
        cause: String,
    },
    /// 404: the user or the room is not known.
    #[error("{message}")]
    NotKnown {
        /// Rollcall's own words.
        message: String,
    },
    /// 404: the address has no such route.
    #[error("{url} has no {query}: is it Rollcall, and not an older version?")]
    NoRoute {
        /// Rollcall's address.
        url: String,
        /// The query's method and path.
        query: String,
    },
    /// 403: IAM refuses.
    #[error("403 {message}: {query} {needs}")]
    Forbidden {
        /// The query's method and path.
        query: String,
        /// The gateway's own words.
        message: String,
        /// What is missing.
        needs: String,
    },
    /// Any other status.
    #[error("{query}: {} {message}", status.as_u16())]
    Refused {
        /// The query's method and path.
        query: String,
        /// The status.
        status: StatusCode,
        /// Rollcall's own words.
        message: String,
    },
    /// The answer has another form than it should.
    #[error("{query}: the answer {fault}")]
    Unreadable {
        /// The query's method and path.
        query: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsigned(String),
    /// Nothing is left to try.
    #[error("{0}")]
    GivenUp(String),
}

impl AskError {
    /// What an answer other than 200 means.
    #[must_use]
    pub fn of(url: &str, is_signed: bool, query: &Query, answer: &Answer) -> Self {
        let Answer { status, body, .. } = answer;
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let own = json["error"]["message"].as_str();
        let said = own.or(json["message"].as_str()).unwrap_or(body).trim();
        let message = plain(said);
        let named = query.to_string();
        match *status {
            StatusCode::NOT_FOUND if own.is_some() => Self::NotKnown { message },
            StatusCode::NOT_FOUND => Self::NoRoute { url: url.to_owned(), query: named },
            StatusCode::FORBIDDEN => {
                let needs = if is_signed {
                    permission(url, query)
                } else {
                    "has to be signed for IAM; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and \
                     for a role AWS_SESSION_TOKEN"
                        .to_owned()
                };
                // Other lines may quote the request as it was signed, with the token of a role.
                let message = plain(said.lines().next().unwrap_or_default());
                Self::Forbidden { query: named, message, needs }
            }
            status => Self::Refused { query: named, status, message },
        }
    }
}

/// The IAM permission that a query needs, and where there is a policy with it.
fn permission(url: &str, query: &Query) -> String {
    let mut labels = url.trim_start_matches("https://").split(['.', '/', ':']);
    let api = match (labels.next(), labels.next(), labels.next()) {
        (Some(id), Some("execute-api"), Some(region)) => format!("{region}:*:{id}"),
        _ => "REGION:ACCOUNT:API".to_owned(),
    };
    let root = query.route().trim_start_matches('/').split('/').next().unwrap_or_default();
    let policy = Policy::of(query.route()).map_or(String::new(), |policy| {
        format!("; the policy in the stack's output {} allows it", policy.output())
    });
    format!(
        "needs the permission execute-api:Invoke on arn:aws:execute-api:{api}/$default/{}/{root}/*\
         {policy}",
        query.method
    )
}

fn hint_for(url: &str) -> &'static str {
    let is_laptop = ["http://127.", "http://localhost", "http://[::1]"];
    if is_laptop.iter().any(|start| url.starts_with(start)) {
        "; start it with `cargo run` in another terminal"
    } else {
        "; its address begins the stack's output PresenceUrl"
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    const STACK: &str = "https://abc123.execute-api.eu-central-1.amazonaws.com";

    fn said(is_signed: bool, query: &Query, status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let (media_type, body) = ("application/json".to_owned(), body.to_owned());
        let answer = Answer { status, media_type, next: None, body };
        AskError::of(STACK, is_signed, query, &answer).to_string()
    }

    #[test]
    fn a_refusal_by_iam_names_the_permission_and_the_policy_that_has_it() {
        let ada = Query::get("/presence/zego/1/users?user=ada");
        let forbidden = r#"{"message":"Forbidden"}"#;
        assert_eq!(
            said(true, &ada, 403, forbidden),
            "403 Forbidden: GET /presence/zego/1/users needs the permission execute-api:Invoke on \
             arn:aws:execute-api:eu-central-1:*:abc123/$default/GET/presence/*; the policy in the \
             stack's output AskPolicyArn allows it"
        );
        let erase = Query { method: Method::DELETE, ..Query::get("/users/zego/1?user=ada") };
        let said_of_erase = said(true, &erase, 403, forbidden);
        assert!(said_of_erase.contains("/DELETE/users/*"), "{said_of_erase}");
        assert!(said_of_erase.ends_with("output ErasePolicyArn allows it"), "{said_of_erase}");
        assert!(said(false, &ada, 403, forbidden).contains("set AWS_ACCESS_KEY_ID"));
        let quoted =
            r#"{"message":"It does not match.\n\nThe Canonical String was\n'GET\ntoken:secret"}"#;
        let said_of_token = said(true, &ada, 403, quoted);
        assert!(said_of_token.starts_with("403 It does not match.: GET"), "{said_of_token}");
        assert!(!said_of_token.contains("secret"), "{said_of_token}");
    }

    #[test]
    fn a_route_that_is_missing_is_not_a_person_who_is_not_known() {
        let query = Query::get("/reports/zego/1/rooms?room=a");
        let unknown = r#"{"error":{"code":"not_found","message":"this room is not known"}}"#;
        assert_eq!(said(true, &query, 404, unknown), "this room is not known");
        let says = said(true, &query, 404, r#"{"message":"Not Found"}"#);
        assert!(says.contains("has no GET /reports/zego/1/rooms"), "{says}");
    }

    #[test]
    fn a_message_cannot_write_to_the_terminal() {
        let query = Query::get("/usage/zego/1");
        let says = said(true, &query, 400, r#"{"error":{"message":"\u001b[31mred"}}"#);
        assert_eq!(says, r"GET /usage/zego/1: 400 \u{1b}[31mred");
    }
}

//! Why there is no answer, in words for people.

use reqwest::StatusCode;
use rollcall::routes::Policy;
use serde_json::Value;

use super::{Answer, Question, table::plain};

/// Why a question has no answer.
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
    #[error("{url} has no {question}: is it Rollcall, and not an older version?")]
    NoRoute {
        /// Rollcall's address.
        url: String,
        /// The question's method and path.
        question: String,
    },
    /// 403: IAM refuses.
    #[error("403 {message}: {question} {needs}")]
    Forbidden {
        /// The question's method and path.
        question: String,
        /// The gateway's own words.
        message: String,
        /// What is missing.
        needs: String,
    },
    /// Any other status.
    #[error("{question}: {} {message}", status.as_u16())]
    Refused {
        /// The question's method and path.
        question: String,
        /// The status.
        status: StatusCode,
        /// Rollcall's own words.
        message: String,
    },
    /// The answer has another form than it should.
    #[error("{question}: the answer {fault}")]
    Unreadable {
        /// The question's method and path.
        question: String,
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
    pub fn of(url: &str, is_signed: bool, question: &Question, answer: &Answer) -> Self {
        let Answer { status, body, .. } = answer;
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let own = json["error"]["message"].as_str();
        let message = plain(own.or(json["message"].as_str()).unwrap_or(body).trim());
        let named = question.to_string();
        match *status {
            StatusCode::NOT_FOUND if own.is_some() => Self::NotKnown { message },
            StatusCode::NOT_FOUND => Self::NoRoute { url: url.to_owned(), question: named },
            StatusCode::FORBIDDEN => {
                let needs = if is_signed {
                    permission(url, question)
                } else {
                    "has to be signed for IAM; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and \
                     for a role AWS_SESSION_TOKEN"
                        .to_owned()
                };
                Self::Forbidden { question: named, message, needs }
            }
            status => Self::Refused { question: named, status, message },
        }
    }
}

/// The IAM permission that a question needs, and where there is a policy with it.
fn permission(url: &str, question: &Question) -> String {
    let mut labels = url.trim_start_matches("https://").split(['.', '/', ':']);
    let api = match (labels.next(), labels.next(), labels.next()) {
        (Some(id), Some("execute-api"), Some(region)) => format!("{region}:*:{id}"),
        _ => "REGION:ACCOUNT:API".to_owned(),
    };
    let root = question.route().trim_start_matches('/').split('/').next().unwrap_or_default();
    let policy = Policy::of(question.route()).map_or(String::new(), |policy| {
        format!("; the policy in the stack's output {} allows it", policy.output())
    });
    format!(
        "needs the permission execute-api:Invoke on arn:aws:execute-api:{api}/$default/{}/{root}/*\
         {policy}",
        question.method
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

    fn said(is_signed: bool, question: &Question, status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let (media_type, body) = ("application/json".to_owned(), body.to_owned());
        let answer = Answer { status, media_type, next: None, body };
        AskError::of(STACK, is_signed, question, &answer).to_string()
    }

    #[test]
    fn a_refusal_by_iam_names_the_permission_and_the_policy_that_has_it() {
        let ada = Question::get("/presence/zego/1/users?user=ada");
        let forbidden = r#"{"message":"Forbidden"}"#;
        assert_eq!(
            said(true, &ada, 403, forbidden),
            "403 Forbidden: GET /presence/zego/1/users needs the permission execute-api:Invoke on \
             arn:aws:execute-api:eu-central-1:*:abc123/$default/GET/presence/*; the policy in the \
             stack's output AskPolicyArn allows it"
        );
        let erase = Question { method: Method::DELETE, ..Question::get("/users/zego/1?user=ada") };
        let said_of_erase = said(true, &erase, 403, forbidden);
        assert!(said_of_erase.contains("/DELETE/users/*"), "{said_of_erase}");
        assert!(said_of_erase.ends_with("output ErasePolicyArn allows it"), "{said_of_erase}");
        assert!(said(false, &ada, 403, forbidden).contains("set AWS_ACCESS_KEY_ID"));
    }

    #[test]
    fn a_route_that_is_missing_is_not_a_person_who_is_not_known() {
        let question = Question::get("/reports/zego/1/rooms?room=a");
        let unknown = r#"{"error":{"code":"not_found","message":"this room is not known"}}"#;
        assert_eq!(said(true, &question, 404, unknown), "this room is not known");
        let says = said(true, &question, 404, r#"{"message":"Not Found"}"#);
        assert!(says.contains("has no GET /reports/zego/1/rooms"), "{says}");
    }

    #[test]
    fn a_message_cannot_write_to_the_terminal() {
        let question = Question::get("/usage/zego/1");
        let says = said(true, &question, 400, r#"{"error":{"message":"\u001b[31mred"}}"#);
        assert_eq!(says, r"GET /usage/zego/1: 400 \u{1b}[31mred");
    }
}

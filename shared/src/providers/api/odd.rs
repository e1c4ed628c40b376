//! Odd answers, for the tests of all providers: a good answer with everything that a server, a
//! proxy or a new version may do to it.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Answer;

/// Variants of a good answer, each with a status.
pub(in crate::providers) fn odd_answers(good: &Value) -> Vec<Answer> {
    let text = good.to_string();
    let mut answers = Vec::new();
    for status in [201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
        let status = StatusCode::from_u16(status).unwrap();
        answers.push(Answer { status, body: text.clone().into() });
    }
    let whole: [&[u8]; 22] = [
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b"\"OK\"",
        b"[]",
        b"{}",
        b"{",
        b"{\"",
        b"[{}]",
        b"\xef\xbb\xbf",
        b"\xff\xfe{\x00}\x00",
        b"\x1f\x8b\x08\x00\x00",
        b"404 page not found",
        b"<html><body><h1>502 Bad Gateway</h1></body></html>",
        b"<?xml version=\"1.0\"?><Error><Code>0</Code></Error>",
        b"Code=0&Message=success",
        b"callback({\"Code\":0})",
        b"{\"Code\":0}{\"Code\":0}",
        b"{\"ErrorCode\":0}",
        b"{\"errCode\":0}",
    ];
    answers.extend(whole.iter().map(|body| Answer::ok(Bytes::from_static(body))));
    answers.extend((1..8).map(|part| Answer::ok(text[..text.len() * part / 8].to_owned())));
    answers.push(Answer::ok(format!("{text}{text}")));
    answers.push(Answer::ok(format!("{text}\u{0}")));
    for place in places(good) {
        for value in values(&place) {
            let mut odd = good.clone();
            match (value, place.0.split_last()) {
                (Some(value), _) => *place.of(&mut odd).unwrap() = value,
                (None, Some((last, parent))) => {
                    match Place(parent.to_vec()).of(&mut odd).unwrap() {
                        Value::Object(fields) => drop(fields.remove(last)),
                        Value::Array(rows) => drop(rows.remove(last.parse().unwrap())),
                        _ => unreachable!(),
                    }
                }
                (None, None) => continue,
            }
            answers.push(Answer::ok(odd.to_string()));
        }
        // The same row once more: after the others, and with something else in it.
        if let Some(row) = place.of(&mut good.clone()).and_then(|row| row.as_object().cloned())
            && let Some((_, parent)) = place.0.split_last()
        {
            for name in row.keys() {
                for value in [json!(0), json!(1), json!("Offline"), json!("Online"), json!(null)] {
                    let mut twice = row.clone();
                    twice.insert(name.clone(), value);
                    let mut odd = good.clone();
                    if let Some(Value::Array(rows)) = Place(parent.to_vec()).of(&mut odd) {
                        rows.push(Value::Object(twice));
                        answers.push(Answer::ok(odd.to_string()));
                    }
                }
            }
        }
    }
    answers
}

/// The way to a value.
struct Place(Vec<String>);

impl Place {
    fn of<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(value, |value, name| match value {
            Value::Array(rows) => rows.get_mut(name.parse::<usize>().ok()?),
            Value::Object(fields) => fields.get_mut(name),
            _ => None,
        })
    }
}

fn places(value: &Value) -> Vec<Place> {
    fn walk(value: &Value, at: &[String], places: &mut Vec<Place>) {
        places.push(Place(at.to_vec()));
        let below: Vec<(String, &Value)> = match value {
            Value::Array(rows) => {
                rows.iter().enumerate().map(|(at, row)| (at.to_string(), row)).collect()
            }
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), value)).collect()
            }
            _ => Vec::new(),
        };
        for (name, value) in below {
            walk(value, &[at, &[name]].concat(), places);
        }
    }
    let mut all = Vec::new();
    walk(value, &[], &mut all);
    all
}

/// What may be in a place instead; `None` for nothing.
fn values(place: &Place) -> Vec<Option<Value>> {
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    let mut values = vec![
        None,
        Some(Value::Null),
        Some(json!("")),
        Some(json!(" ")),
        Some(json!(true)),
        Some(json!(false)),
        Some(json!(0)),
        Some(json!(1)),
        Some(json!(2)),
        Some(json!(-1)),
        Some(json!(0.5)),
        Some(json!(1e300)),
        Some(json!(u64::MAX)),
        Some(json!(i64::MIN)),
        Some(json!("0")),
        Some(json!("1")),
        Some(json!("OK")),
        Some(json!("online")),
        Some(json!("x".repeat(300))),
        Some(json!([])),
        Some(json!([null])),
        Some(json!([0, "1", {}])),
        Some(json!({})),
        Some(json!({ "a": 1 })),
        Some(deep),
    ];
    if place.0.is_empty() {
        values.retain(|value| value.as_ref().is_none_or(|value| !value.is_null()));
    }
    values
}

/// The object at a path, for the tests' own reading of an answer.
pub(in crate::providers) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// A body as JSON, if it is one object.
pub(in crate::providers) fn json_of(answer: &Answer) -> Option<Map<String, Value>> {
    serde_json::from_slice(&answer.body).ok()
}

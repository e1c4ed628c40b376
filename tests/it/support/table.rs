//! The whole table, for tests that compare what is stored.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    types::AttributeValue::{self, B, Bool, Bs, M, N, Ns, S},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Simulated, TABLE_NAME};

/// Every item by its key, its sets sorted.
pub(crate) async fn dump(client: &Client) -> HashMap<String, Value> {
    #[expect(clippy::disallowed_methods, reason = "only a test may look at everything")]
    let mut pages = client.scan().table_name(TABLE_NAME).into_paginator().send();
    let mut items = HashMap::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        items.extend(page.items.unwrap_or_default().iter().map(read));
    }
    items
}

/// An item by its key.
fn read(item: &HashMap<String, AttributeValue>) -> (String, Value) {
    let attributes = item.iter().map(|(name, value)| (name.clone(), to_json(value)));
    let key = format!("{} {}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
    (key, attributes.collect())
}

/// What a reader sees: every seat with the union of its marks, on it or moved away; and the same of
/// everybody's sessions.
pub(crate) fn union(items: HashMap<String, Value>) -> HashMap<String, Value> {
    const SESSIONS: &str = " sessions#";
    let (moved, mut seats): (HashMap<_, _>, HashMap<_, _>) =
        items.into_iter().partition(|(key, _)| {
            key.contains(" moved#") || key.contains(SESSIONS) && !key.ends_with(SESSIONS)
        });
    for seat in seats.values_mut() {
        // It depends on when marks were moved, and so on the order of arrival.
        seat.as_object_mut().unwrap().remove("moved_to");
    }
    for (key, item) in moved {
        let (place, name) = match key.rsplit_once('#').unwrap().0 {
            sessions if key.contains(SESSIONS) => (format!("{sessions}#"), "sessions"),
            seat => (seat.replace(" moved#", " seat#"), "marks"),
        };
        let seat = seats.get_mut(&place).unwrap();
        let of = |item: &Value| item[name].as_array().unwrap().clone();
        let union: BTreeSet<String> =
            of(seat).into_iter().chain(of(&item)).map(|mark| mark.to_string()).collect();
        seat[name] = json!(union.iter().map(|mark| mark.trim_matches('"')).collect::<Vec<_>>());
    }
    seats
}

/// Every item of a simulated store, as [`dump`] has those of the real one.
pub(crate) fn simulated_dump(store: &Simulated) -> HashMap<String, Value> {
    let items = store.items().into_iter().map(|item| {
        let attributes = item.iter().map(|(name, value)| (name.clone(), of_wire(value))).collect();
        let Value::Object(attributes) = attributes else { panic!("an item is an object") };
        let key = ["pk", "sk"].map(|name| attributes[name].as_str().unwrap());
        (key.join(" "), Value::Object(attributes))
    });
    items.collect()
}

/// A value in its wire format.
fn of_wire(value: &Value) -> Value {
    let hex = |value: &Value| hex::encode(BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap());
    let (kind, content) = value.as_object().unwrap().iter().next().unwrap();
    let set = || content.as_array().unwrap().iter();
    match kind.as_str() {
        "S" | "N" | "BOOL" => content.clone(),
        "B" => json!(hex(content)),
        "BS" => json!(set().map(hex).collect::<BTreeSet<_>>()),
        "M" => {
            let map = content.as_object().unwrap().iter();
            map.map(|(name, value)| (name.clone(), of_wire(value))).collect()
        }
        other => panic!("nothing writes {other}"),
    }
}

fn to_json(value: &AttributeValue) -> Value {
    match value {
        S(text) | N(text) => json!(text),
        Bool(flag) => json!(flag),
        B(bytes) => json!(hex::encode(bytes.as_ref())),
        Bs(set) => {
            json!(set.iter().map(|bytes| hex::encode(bytes.as_ref())).collect::<BTreeSet<_>>())
        }
        // Nothing writes it any more: it is the `seqs` of an old item.
        Ns(set) => json!(set.iter().collect::<BTreeSet<_>>()),
        M(map) => map.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        other => panic!("nothing writes {other:?}"),
    }
}

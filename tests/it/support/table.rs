//! The whole table, for tests that compare what is stored.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    types::AttributeValue::{self, B, Bool, Bs, M, N, Ns, S},
};
use serde_json::{Value, json};

use super::TABLE_NAME;

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

/// What a reader knows of one app, wherever it is kept: every seat with the union of its marks, on
/// it or moved away, and every life. The app's id is left out, so that two apps can be compared.
pub(crate) async fn dump_union(
    client: &Client,
    app: &str,
    partitions: impl IntoIterator<Item = String>,
) -> HashMap<String, Value> {
    let prefix = format!("zego#{app}#");
    let mut items = Vec::new();
    for partition in partitions {
        let query = client
            .query()
            .table_name(TABLE_NAME)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", S(format!("{prefix}{partition}")));
        let page = query.send().await.unwrap();
        items.extend(page.items.unwrap_or_default().iter().map(read));
    }
    let mut seats = HashMap::<String, Value>::new();
    let mut moved = Vec::new();
    for (key, mut item) in items {
        let Some(key) = key.strip_prefix(&prefix) else { continue };
        let object = item.as_object_mut().unwrap();
        object.remove("pk");
        object.remove("gsi1pk");
        // It depends on when marks were moved, and so on the order of arrival.
        object.remove("has_moved");
        match key.split_once(" moved#") {
            None => {
                seats.insert(key.to_owned(), item);
            }
            Some((user, rest)) => {
                let seat = rest.rsplit_once('#').unwrap().0;
                moved.push((format!("{user} seat#{seat}"), item));
            }
        }
    }
    for (seat, item) in moved {
        let seat = seats.get_mut(&seat).unwrap();
        for set in ["marks", "seqs"] {
            let of = |item: &Value| item[set].as_array().unwrap().clone();
            let union: BTreeSet<String> =
                of(seat).into_iter().chain(of(&item)).map(|mark| mark.to_string()).collect();
            seat[set] = json!(union.iter().map(|mark| mark.trim_matches('"')).collect::<Vec<_>>());
        }
    }
    seats
}

fn to_json(value: &AttributeValue) -> Value {
    match value {
        S(text) | N(text) => json!(text),
        Bool(flag) => json!(flag),
        B(bytes) => json!(hex::encode(bytes.as_ref())),
        Bs(set) => {
            json!(set.iter().map(|bytes| hex::encode(bytes.as_ref())).collect::<BTreeSet<_>>())
        }
        Ns(set) => json!(set.iter().collect::<BTreeSet<_>>()),
        M(map) => map.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        other => panic!("nothing writes {other:?}"),
    }
}

//! Items in the JSON of the stream.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, de::Error};

use super::super::item::Item;

/// An attribute, as DynamoDB's JSON has it: `{"S":"text"}`.
#[derive(Deserialize)]
enum Attribute {
    S(String),
    N(String),
    B(String),
    #[serde(rename = "SS")]
    Ss(Vec<String>),
    #[serde(rename = "NS")]
    Ns(Vec<String>),
    #[serde(rename = "BS")]
    Bs(Vec<String>),
    M(HashMap<String, Attribute>),
    L(Vec<Attribute>),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
}

impl TryFrom<Attribute> for AttributeValue {
    type Error = base64::DecodeError;

    fn try_from(attribute: Attribute) -> Result<Self, Self::Error> {
        let bytes = |text: String| BASE64_STANDARD.decode(text).map(Blob::new);
        Ok(match attribute {
            Attribute::S(text) => Self::S(text),
            Attribute::N(number) => Self::N(number),
            Attribute::B(text) => Self::B(bytes(text)?),
            Attribute::Ss(texts) => Self::Ss(texts),
            Attribute::Ns(numbers) => Self::Ns(numbers),
            Attribute::Bs(texts) => {
                Self::Bs(texts.into_iter().map(bytes).collect::<Result<_, _>>()?)
            }
            Attribute::M(members) => Self::M(item(members)?),
            Attribute::L(list) => {
                Self::L(list.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            Attribute::Bool(flag) => Self::Bool(flag),
            Attribute::Null(flag) => Self::Null(flag),
        })
    }
}

fn item(attributes: HashMap<String, Attribute>) -> Result<Item, base64::DecodeError> {
    attributes.into_iter().map(|(name, attribute)| Ok((name, attribute.try_into()?))).collect()
}

pub(super) fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Item, D::Error> {
    item(HashMap::deserialize(json)?).map_err(D::Error::custom)
}

pub(super) fn read_optional<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Item>, D::Error> {
    Option::deserialize(json)?.map(item).transpose().map_err(D::Error::custom)
}

//! Conditional writes, and their outcomes.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::DeleteItemError,
        put_item::PutItemError,
        update_item::{UpdateItemError, UpdateItemOutput},
    },
    types::{
        AttributeValue, ConsumedCapacity, ReturnConsumedCapacity,
        ReturnValuesOnConditionCheckFailure as ReturnOld,
    },
};

use super::super::{
    StoreError,
    item::{self, Item},
    table::{PK, SK, Table},
};
use crate::domain::Outcome;

/// The number of values of the most common update, that of a seat: memory for them is allocated
/// once.
const VALUES: usize = 7;

/// An update of one item: its changes and its condition.
///
/// A value has the name of its attribute: `set(K, mark)` is `SET k = :k`, and a condition such as
/// `k < :k` compares what is stored with what is set.
#[derive(Debug, Clone)]
#[must_use = "an update changes nothing before it is sent"]
pub(super) struct Update {
    pk: String,
    sk: String,
    /// One for each [`Clause`], empty if it does nothing. DynamoDB takes each of them once.
    clauses: [String; 4],
    values: HashMap<String, AttributeValue>,
    condition: Option<String>,
    returned: Option<ReturnOld>,
    consumed: Option<ReturnConsumedCapacity>,
}

#[derive(Debug, Clone, Copy)]
enum Clause {
    Set,
    Remove,
    Add,
    Delete,
}

impl Clause {
    fn keyword(self) -> &'static str {
        match self {
            Self::Set => "SET ",
            Self::Remove => "REMOVE ",
            Self::Add => "ADD ",
            Self::Delete => "DELETE ",
        }
    }
}

impl Update {
    /// An update of the item with this key. If there is none, the update creates it.
    pub(super) fn of(pk: String, sk: impl Into<String>) -> Self {
        Self {
            pk,
            sk: sk.into(),
            clauses: [const { String::new() }; 4],
            values: HashMap::with_capacity(VALUES),
            condition: None,
            returned: None,
            consumed: None,
        }
    }

    /// `SET name = :name`.
    pub(super) fn set(self, name: &str, value: AttributeValue) -> Self {
        self.with(Clause::Set, &[name, " = :", name]).value(name, value)
    }

    /// Sets an attribute that the item does not have yet. An existing one stays.
    pub(super) fn set_if_missing(self, name: &str, value: AttributeValue) -> Self {
        let action = [name, " = if_not_exists(", name, ", :", name, ")"];
        self.with(Clause::Set, &action).value(name, value)
    }

    /// Sets an attribute, or removes it if there is no value.
    pub(super) fn set_or_remove(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.with(Clause::Remove, &[name]),
        }
    }

    /// `ADD name :name`: adds members to a set, or a number to a number.
    pub(super) fn add(self, name: &str, members: AttributeValue) -> Self {
        self.with(Clause::Add, &[name, " :", name]).value(name, members)
    }

    /// `DELETE name :name`: deletes members from a set.
    pub(super) fn delete(self, name: &str, members: AttributeValue) -> Self {
        self.with(Clause::Delete, &[name, " :", name]).value(name, members)
    }

    /// The condition, as a DynamoDB expression.
    pub(super) fn only_if(self, condition: String) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// A further condition.
    pub(super) fn and_if(self, further: &str) -> Self {
        let condition = self.condition.map(|condition| format!("{condition} AND {further}"));
        Self { condition: condition.or_else(|| Some(further.to_owned())), ..self }
    }

    /// A value that only the condition names.
    pub(super) fn given(self, name: &str, value: AttributeValue) -> Self {
        self.value(name, value)
    }

    /// The condition that these attributes are as they were when the item was read.
    pub(super) fn only_if_unchanged(mut self, item: &Item, names: &[&str]) -> Self {
        let (condition, values) = unchanged(item, names);
        self.values.extend(values);
        self.only_if(condition)
    }

    /// The same of attributes that the update may change: what was read has another name.
    pub(super) fn only_if_as_read(mut self, item: &Item, names: &[&str]) -> Self {
        let conditions = names.iter().map(|name| match item.get(*name) {
            Some(value) => {
                self.values.insert(format!(":read_{name}"), value.clone());
                format!("{name} = :read_{name}")
            }
            None => format!("attribute_not_exists({name})"),
        });
        let condition = conditions.collect::<Vec<_>>().join(" AND ");
        self.only_if(condition)
    }

    /// If the condition is refused, the answer has the item as it is stored.
    pub(super) fn or_return_item(self) -> Self {
        Self { returned: Some(ReturnOld::AllOld), ..self }
    }

    /// The answer has the write units that were consumed.
    pub(super) fn measured(self) -> Self {
        Self { consumed: Some(ReturnConsumedCapacity::Total), ..self }
    }

    fn with(mut self, clause: Clause, action: &[&str]) -> Self {
        let text = &mut self.clauses[clause as usize];
        text.push_str(if text.is_empty() { clause.keyword() } else { ", " });
        text.extend(action.iter().copied());
        self
    }

    fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(value_name(name), value);
        self
    }
}

/// The deletion of an item on the condition that some attributes are unchanged.
#[derive(Debug, Clone)]
#[must_use = "a deletion changes nothing before it is sent"]
pub(super) struct Deletion {
    pk: String,
    sk: String,
    values: HashMap<String, AttributeValue>,
    condition: String,
}

impl Deletion {
    /// The deletion of an item, whatever it has.
    pub(super) fn of_any(pk: String, sk: String) -> Self {
        Self { pk, sk, values: HashMap::new(), condition: format!("attribute_exists({PK})") }
    }

    /// The deletion of an item as it was read, if these attributes are unchanged.
    pub(super) fn of(item: &Item, names: &[&str]) -> Result<Self, StoreError> {
        let (condition, values) = unchanged(item, names);
        let [pk, sk] = [item::text(item, PK)?.to_owned(), item::text(item, SK)?.to_owned()];
        Ok(Self { pk, sk, values, condition })
    }
}

/// The condition that attributes are as they were when the item was read, and its values.
fn unchanged(item: &Item, names: &[&str]) -> (String, HashMap<String, AttributeValue>) {
    let conditions = names.iter().map(|name| {
        if item.contains_key(*name) {
            format!("{name} = :{name}")
        } else {
            format!("attribute_not_exists({name})")
        }
    });
    let conditions: Vec<String> = conditions.collect();
    let values = names.iter().filter_map(|name| Some((value_name(name), item.get(*name)?.clone())));
    (conditions.join(" AND "), values.collect())
}

fn value_name(attribute: &str) -> String {
    format!(":{attribute}")
}

/// The clauses as one expression.
fn expression(clauses: [String; 4]) -> String {
    let mut clauses = clauses.into_iter().filter(|clause| !clause.is_empty());
    let mut expression = clauses.next().unwrap_or_default();
    for clause in clauses {
        expression.push(' ');
        expression.push_str(&clause);
    }
    expression
}

/// The capacity that a write consumed, on the table and its index together.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct WriteUnits(pub(super) f64);

/// Whether a conditional update was done, and what DynamoDB returned.
pub(super) enum Written {
    /// It was done. This is the consumed capacity; zero without [`Update::measured`].
    Yes(WriteUnits),
    /// Its condition was refused. This is the stored item; empty without
    /// [`Update::or_return_item`].
    No(Item),
}

impl Written {
    /// The outcome of a write that is done once: its condition is refused if the item exists.
    pub(super) fn once(self) -> Outcome {
        match self {
            Self::Yes(_) => Outcome::Applied,
            Self::No(_) => Outcome::Duplicate,
        }
    }
}

impl Table {
    /// Sends an update. The SDK's futures have tens of kilobytes. When boxed, they are not copied
    /// each time that a future around them is moved.
    pub(super) fn update(
        &self,
        update: Update,
    ) -> impl Future<Output = Result<Written, StoreError>> + use<> {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(PK, item::string(update.pk))
            .key(SK, item::string(update.sk))
            .update_expression(expression(update.clauses))
            .set_expression_attribute_values(Some(update.values))
            .set_condition_expression(update.condition)
            .set_return_values_on_condition_check_failure(update.returned)
            .set_return_consumed_capacity(update.consumed);
        let sending = Box::pin(request.send());
        async { written(sending.await) }
    }

    /// Deletes an item; false if it has changed.
    pub(super) async fn delete(&self, deletion: Deletion) -> Result<bool, StoreError> {
        let Deletion { pk, sk, values, condition } = deletion;
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(PK, item::string(pk))
            .key(SK, item::string(sk))
            .condition_expression(condition)
            // DynamoDB takes no empty map.
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()));
        match Box::pin(request.send()).await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts an item where there is none with its key.
    pub(super) fn put_first(
        &self,
        item: Item,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + use<> {
        self.put(item, format!("attribute_not_exists({PK})"), None)
    }

    /// Puts an item where there is none with its key, or one whose `name` is higher.
    pub(super) fn put_lowest(
        &self,
        item: Item,
        name: &str,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + use<> {
        let condition = format!("attribute_not_exists({name}) OR {name} > :{name}");
        let value = item.get(name).map(|value| HashMap::from([(value_name(name), value.clone())]));
        self.put(item, condition, value)
    }

    /// Puts an item on a condition that may name its values of `names`. If that is refused, the
    /// answer has the item as it is stored.
    pub(super) fn put_if(
        &self,
        item: Item,
        condition: String,
        names: &[&str],
    ) -> impl Future<Output = Result<Written, StoreError>> + use<> {
        let value = |name: &&str| Some((value_name(name), item.get(*name)?.clone()));
        let values = names.iter().filter_map(value).collect();
        self.put_returning(item, condition, values)
    }

    /// Puts an item in place of one as it was read, if its attributes of `names` are unchanged. If
    /// they are not, the answer has the item as it is stored.
    pub(super) fn replace(
        &self,
        read: &Item,
        item: Item,
        names: &[&str],
    ) -> impl Future<Output = Result<Written, StoreError>> + use<> {
        let (condition, values) = unchanged(read, names);
        self.put_returning(item, condition, values)
    }

    fn put_returning(
        &self,
        item: Item,
        condition: String,
        values: HashMap<String, AttributeValue>,
    ) -> impl Future<Output = Result<Written, StoreError>> + use<> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            // DynamoDB takes no empty map.
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnOld::AllOld);
        let sending = Box::pin(request.send());
        async {
            match sending.await {
                Ok(output) => Ok(Written::Yes(units(output.consumed_capacity))),
                Err(SdkError::ServiceError(context)) => match context.into_err() {
                    PutItemError::ConditionalCheckFailedException(refused) => {
                        Ok(Written::No(refused.item.unwrap_or_default()))
                    }
                    error => Err(StoreError::service(&error)),
                },
                Err(error) => Err(error.into()),
            }
        }
    }

    fn put(
        &self,
        item: Item,
        condition: String,
        values: Option<HashMap<String, AttributeValue>>,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + use<> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values);
        let sending = Box::pin(request.send());
        async {
            match sending.await {
                Ok(_) => Ok(Outcome::Applied),
                Err(error) if is_refused(&error) => Ok(Outcome::Duplicate),
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn is_refused(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}

/// What a write consumed, if it was asked for.
fn units(consumed: Option<ConsumedCapacity>) -> WriteUnits {
    WriteUnits(consumed.and_then(|consumed| consumed.capacity_units).unwrap_or_default())
}

fn written(
    sent: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
) -> Result<Written, StoreError> {
    match sent {
        Ok(output) => Ok(Written::Yes(units(output.consumed_capacity))),
        Err(SdkError::ServiceError(context)) => match context.into_err() {
            UpdateItemError::ConditionalCheckFailedException(refused) => {
                Ok(Written::No(refused.item.unwrap_or_default()))
            }
            error => Err(StoreError::service(&error)),
        },
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> AttributeValue {
        item::number(number)
    }

    /// DynamoDB refuses an expression with two clauses of one kind.
    #[test]
    fn an_update_has_each_clause_once_in_whatever_order_it_is_collected() {
        let update = Update::of("pk".to_owned(), "sk")
            .add("marks", number(1))
            .set("k", number(2))
            .set_or_remove("name", None)
            .set_if_missing("at", number(3))
            .set_or_remove("role", Some(number(4)))
            .delete("old", number(5))
            .set_or_remove("reason", None);
        assert_eq!(
            expression(update.clauses),
            "SET k = :k, at = if_not_exists(at, :at), role = :role REMOVE name, reason \
             ADD marks :marks DELETE old :old"
        );
        let mut named: Vec<_> = update.values.into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let values = [(":at", 3), (":k", 2), (":marks", 1), (":old", 5), (":role", 4)];
        assert_eq!(named, values.map(|(name, value)| (name.to_owned(), number(value))));
    }
}

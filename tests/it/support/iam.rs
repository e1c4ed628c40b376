//! Plays IAM: the policy in `template.yaml` must allow every request that a function sends to AWS
//! in a test. A request that it does not allow ends the run.
//!
//! Handlers in this process act in the name of their function ([`acting_as`]), and their requests
//! are checked before they are sent ([`config`]). The real binaries sign with an access key that
//! has the function's name, and the proxy in front of the service checks their requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use rollcall::{aws, store::INDEX};
use serde_json::{Map, Value, json};

use super::{TABLE_NAME, secrets};
use crate::template;

/// An action and its resource, as the template writes them: `dynamodb:UpdateItem` of `Table.Arn`.
pub(crate) type Permission = (String, String);

tokio::task_local! {
    /// The function in whose name this task acts.
    static FUNCTION: &'static str;
}

/// Actions of Lambda itself in the name of a function, which no test can see.
pub(crate) const BY_LAMBDA: [(&str, &str); 17] = [
    ("logs:CreateLogStream", "Logs.Arn"),
    ("logs:PutLogEvents", "Logs.Arn"),
    ("sqs:ReceiveMessage", "SpillQueue.Arn"),
    ("sqs:DeleteMessage", "SpillQueue.Arn"),
    ("sqs:GetQueueAttributes", "SpillQueue.Arn"),
    ("dynamodb:DescribeStream", "Table.StreamArn"),
    ("dynamodb:GetRecords", "Table.StreamArn"),
    ("dynamodb:GetShardIterator", "Table.StreamArn"),
    ("dynamodb:ListStreams", "Table.StreamArn"),
    ("s3:ListBucket", "UnsentRecords.Arn"),
    ("s3:PutObject", "UnsentRecords.Arn/*"),
    ("sqs:ReceiveMessage", "EraseQueue.Arn"),
    ("sqs:DeleteMessage", "EraseQueue.Arn"),
    ("sqs:GetQueueAttributes", "EraseQueue.Arn"),
    ("sqs:ReceiveMessage", "SettleQueue.Arn"),
    ("sqs:DeleteMessage", "SettleQueue.Arn"),
    ("sqs:GetQueueAttributes", "SettleQueue.Arn"),
];

/// What each function may do itself, and `rollcall resync`.
pub(crate) static POLICIES: LazyLock<BTreeMap<String, BTreeSet<Permission>>> =
    LazyLock::new(|| {
        let template = template::template();
        let is_own = |(action, resource): &Permission| {
            !BY_LAMBDA.contains(&(action.as_str(), resource.as_str()))
        };
        let of_functions =
            template::functions(&template).into_iter().map(|(function, properties)| {
                let allowed = policy(&template, &properties);
                (function, allowed.into_iter().filter(is_own).collect())
            });
        let resync = &template["Resources"]["ResyncPolicy"]["Properties"]["PolicyDocument"];
        let resync = permissions(resync["Statement"].as_array().unwrap());
        of_functions.chain([(RESYNC.to_owned(), resync)]).collect()
    });

/// In whose name `rollcall resync` acts: it is no function, and has a policy of its own.
pub(crate) const RESYNC: &str = "resync";

/// The permissions of a function's role. Its statements must list every action and resource by
/// name.
pub(crate) fn policy(template: &Value, function: &Value) -> BTreeSet<Permission> {
    permissions(template::statements(template, function))
}

fn permissions<'a>(statements: impl IntoIterator<Item = &'a Value>) -> BTreeSet<Permission> {
    let each = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut allowed = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in each(&statement["Action"]) {
            for resource in each(&statement["Resource"]) {
                let resource = named(&resource);
                let action = action.as_str().unwrap().to_owned();
                // All objects of one bucket.
                let named = resource.strip_suffix("/*").unwrap_or(&resource);
                assert!(!action.contains('*') && !named.contains('*'), "{action} {resource}");
                allowed.insert((action, resource));
            }
        }
    }
    allowed
}

/// The name of a resource of the template.
fn named(resource: &Value) -> String {
    let (function, value) = resource.as_object().unwrap().iter().next().unwrap();
    match function.as_str() {
        // The table that the stack creates, or an existing one.
        "!If" => named(&value[1]),
        // The table's index.
        "!Join" => {
            let parts: Vec<String> = value[1].as_array().unwrap().iter().map(named).collect();
            parts.join(value[0].as_str().unwrap())
        }
        "!Select" => {
            assert_eq!(value, &json!([0, { "!Split": ["-", { "!Ref": "TableIndex" }] }]));
            <&str>::from(INDEX).to_owned()
        }
        _ => value.as_str().unwrap().replace("${", "").replace('}', ""),
    }
}

/// Whether a policy of the template allows a call of the stack's API `abc123`, in a region and an
/// account of its own.
pub(crate) fn allows(document: &Value, arn: &str) -> bool {
    let stack = [
        ("${AWS::Partition}", "aws"),
        ("${AWS::Region}", "eu-central-1"),
        ("${AWS::AccountId}", "123456789012"),
        ("${Api}", "abc123"),
    ];
    let statements = document["Statement"].as_array().unwrap();
    statements.iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        assert_eq!(statement["Action"], "execute-api:Invoke");
        statement["Resource"].as_array().unwrap().iter().any(|resource| {
            let text = resource["!Sub"].as_str().unwrap().to_owned();
            let pattern = stack.iter().fold(text, |text, (name, value)| text.replace(name, value));
            assert!(!pattern.contains("${") && !pattern.contains('?'), "{pattern}");
            matches(&pattern, arn)
        })
    })
}

/// IAM's `*` stands for any characters, slashes included.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| matches(after, &rest[at..]))
        }),
    }
}

/// The permission that a request needs. The tests' queues and secrets are named after the
/// template's.
pub(crate) fn permission(target: &str, request: &Map<String, Value>) -> Permission {
    let (service, operation) = target.split_once('.').unwrap_or((target, ""));
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let before_dash = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let (service, resource) = match service {
        "DynamoDB_20120810" => {
            // One that reads several items names their tables.
            let of_items = request.get("RequestItems").and_then(Value::as_object);
            let is_ours = match of_items {
                Some(tables) => tables.keys().all(|table| table == TABLE_NAME),
                None => text("TableName") == TABLE_NAME,
            };
            let table = if is_ours { "Table.Arn" } else { "?" };
            let index = request.get("IndexName").and_then(Value::as_str);
            let index = index.map(|index| format!("/index/{index}")).unwrap_or_default();
            ("dynamodb", format!("{table}{index}"))
        }
        "AmazonSQS" => {
            let name = text("QueueUrl").rsplit('/').next().unwrap_or_default();
            ("sqs", format!("{}.Arn", before_dash(name)))
        }
        "secretsmanager" => {
            let name = text("SecretId").rsplit(':').next().unwrap_or_default();
            ("secretsmanager", before_dash(name))
        }
        "AWSEvents" => {
            let entries = request["Entries"].as_array().into_iter().flatten();
            let buses: BTreeSet<&str> =
                entries.filter_map(|entry| entry["EventBusName"].as_str()).collect();
            let names: Vec<String> = buses.into_iter().map(before_dash).collect();
            ("events", format!("{}.Arn", names.join(" ")))
        }
        other => (other, String::new()),
    };
    (format!("{service}:{operation}"), resource)
}

/// Runs a future in the name of a function.
pub(crate) fn acting_as<F: Future>(
    function: &'static str,
    work: F,
) -> impl Future<Output = F::Output> {
    FUNCTION.scope(function, work)
}

/// The configuration of a function's clients in this process.
pub(crate) fn config(endpoint: &str) -> aws::SdkConfig {
    let config = aws::at(endpoint);
    let http = Watched(config.http_client().unwrap());
    config.into_builder().http_client(http).build()
}

/// Ends the run if the function in whose name this task acts may not send that request.
pub(crate) fn expect_allowed(target: &str, request: &Map<String, Value>) {
    let permission = permission(target, request);
    match FUNCTION.try_with(|function| *function) {
        Ok(function) => expect_allowed_for(function, &permission),
        Err(_) => secrets::end_the_run(&format!("{permission:?} is used outside of a function")),
    }
}

/// Ends the run if a function does not have this permission.
pub(crate) fn expect_allowed_for(function: &str, permission: &Permission) {
    if !POLICIES[function].contains(permission) {
        let text =
            format!("the policy of {function} in template.yaml does not allow {permission:?}");
        secrets::end_the_run(&text);
    }
}

/// Checks requests before they are sent.
#[derive(Debug)]
struct Watched<T>(T);

impl HttpClient for Watched<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Watched(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Watched<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        expect_allowed(request.headers().get("x-amz-target").unwrap(), &body);
        self.0.call(request)
    }
}

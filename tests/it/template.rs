//! `template.yaml`, `openapi.yaml`, the gateway's routes, the folders and `CargoLambda.toml` agree.

use std::{collections::BTreeSet, fs, path::Path};

use aws_sdk_dynamodb::types::KeySchemaElement;
use rollcall::{
    config,
    domain::ProviderName,
    erase, queue,
    routes::{
        self, CALLBACKS, CallbackNames, Caller, ERASE, Policy, QUERY, RECONCILE, RELAY, Route,
        SETTLE, SPILL_REPLAY, SWEEP, USER_SIG, ZEGO_TOKEN,
    },
    spill, sweep,
};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::support::{
    Database, TABLE_NAME,
    draft::{Draft, camel, logical_id, pattern, renamed},
    iam,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The template as a stack has it: its loops are written out.
pub(crate) fn template() -> Value {
    expanded(&yaml("template.yaml"))
}

/// A node whose `Fn::ForEach` are replaced by what they make, as `AWS::LanguageExtensions` does it.
fn expanded(node: &Value) -> Value {
    match node {
        Value::Object(fields) => {
            let mut made = Map::new();
            for (name, value) in fields {
                if name.starts_with("Fn::ForEach::") {
                    for (name, value) in loop_of(value) {
                        assert!(made.insert(name.clone(), value).is_none(), "two {name}");
                    }
                } else {
                    made.insert(name.clone(), expanded(value));
                }
            }
            Value::Object(made)
        }
        Value::Array(items) => items.iter().map(expanded).collect(),
        _ => node.clone(),
    }
}

/// What a loop makes: `[variable, values, body]`.
fn loop_of(parts: &Value) -> Vec<(String, Value)> {
    let variable = parts[0].as_str().unwrap();
    let mut made = Vec::new();
    for value in parts[1].as_array().unwrap() {
        let value = value.as_str().unwrap();
        for (name, body) in parts[2].as_object().unwrap() {
            let name_of_it = name.replace(&format!("${{{variable}}}"), value);
            assert_ne!(name_of_it, *name, "a loop makes things of different names");
            made.push((name_of_it, expanded(&with(body, variable, value))));
        }
    }
    made
}

/// The body of a loop for one value. The variable is read by `!Ref` and `!Sub` only: what else
/// `CloudFormation` replaces is not the same everywhere (a condition's name is not replaced).
fn with(body: &Value, variable: &str, value: &str) -> Value {
    let placeholder = format!("${{{variable}}}");
    match body {
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(name, part)| match part {
                    Value::String(text) if name == "!Sub" => {
                        (name.clone(), json!(text.replace(&placeholder, value)))
                    }
                    _ => (name.clone(), with(part, variable, value)),
                })
                .collect();
            known(&Value::Object(fields), variable, value)
        }
        Value::Array(items) => items.iter().map(|item| with(item, variable, value)).collect(),
        Value::String(text) => {
            assert!(!text.contains(&placeholder), "{text} has to be in a !Sub");
            body.clone()
        }
        _ => body.clone(),
    }
}

/// What a function returns whose arguments are all known, or the function.
fn known(node: &Value, variable: &str, value: &str) -> Value {
    let texts = |parts: &Value| -> Option<Vec<String>> {
        parts.as_array()?.iter().map(|part| part.as_str().map(str::to_owned)).collect()
    };
    if node["!Ref"] == variable {
        return json!(value);
    }
    // A reference to the resource that the variable names.
    if let Some(name) = node["Ref"].as_str() {
        return json!({ "!Ref": name });
    }
    if let Some(keys) = texts(&node["!FindInMap"]) {
        let found = &yaml("template.yaml")["Mappings"][&keys[0]][&keys[1]][&keys[2]];
        assert!(!found.is_null(), "{keys:?} is in no mapping");
        return found.clone();
    }
    let (mut text, mut replaced) = match &node["!Sub"] {
        Value::String(text) => (text.clone(), true),
        Value::Array(parts) => (parts[0].as_str().unwrap().to_owned(), true),
        _ => return node.clone(),
    };
    for (name, part) in node["!Sub"][1].as_object().into_iter().flatten() {
        match part.as_str() {
            Some(part) => text = text.replace(&format!("${{{name}}}"), part),
            None => replaced = false,
        }
    }
    if replaced && !text.contains("${") { json!(text) } else { node.clone() }
}

pub(crate) fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(root().join(file)).unwrap();
    to_json(&Yaml::load_from_str(&text).unwrap()[0])
}

/// A tagged node, such as `!Ref Table`, becomes `{"!Ref": "Table"}`.
fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Mapping(mapping) => {
            let pair = |(key, value): (&Yaml<'_>, &Yaml<'_>)| {
                (key.as_str().unwrap().to_owned(), to_json(value))
            };
            Value::Object(mapping.iter().map(pair).collect::<Map<_, _>>())
        }
        Yaml::Sequence(nodes) => nodes.iter().map(to_json).collect(),
        Yaml::Tagged(tag, node) => json!({ format!("!{}", tag.suffix): to_json(node) }),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::Boolean(flag)) => json!(flag),
        Yaml::Value(Scalar::Null) => Value::Null,
        other => panic!("{other:?} in a YAML file"),
    }
}

/// The functions of the template, by the folder that they are built from.
pub(crate) fn functions(template: &Value) -> Vec<(String, Value)> {
    let resources = template["Resources"].as_object().unwrap().values();
    let functions = resources.filter(|resource| resource["Type"] == "AWS::Serverless::Function");
    functions
        .map(|function| {
            let properties = function["Properties"].clone();
            let folder = properties["CodeUri"].as_str().unwrap();
            (folder.strip_prefix("functions/").unwrap().to_owned(), properties)
        })
        .collect()
}

/// The role of a function. None has one that SAM makes, with AWS's own policies in it.
fn role<'a>(template: &'a Value, function: &Value) -> &'a Value {
    assert!(function["Policies"].is_null(), "its role is written in the template");
    let name = function["Role"]["!GetAtt"].as_str().unwrap().strip_suffix(".Arn").unwrap();
    let role = &template["Resources"][name];
    assert_eq!(role["Type"], "AWS::IAM::Role", "{name}");
    &role["Properties"]
}

/// The statements of what a function may do.
pub(crate) fn statements<'a>(template: &'a Value, function: &Value) -> Vec<&'a Value> {
    let policies = role(template, function)["Policies"].as_array().unwrap();
    let statements = policies.iter().map(|policy| &policy["PolicyDocument"]["Statement"]);
    statements.flat_map(|statements| statements.as_array().unwrap()).collect()
}

/// The condition under which something of a provider's or of events is there, by the beginning of its
/// name.
fn condition_of(name: &str) -> Option<&'static str> {
    let is = |prefix: &str| name.to_lowercase().starts_with(prefix);
    match name {
        _ if is("zego") => Some("HasZego"),
        _ if is("openim") => Some("HasOpenIm"),
        _ if is("tencent") || is("usersig") => Some("HasTencent"),
        _ if is("webhook") => Some("HasWebhook"),
        _ if is("eventarchive") => Some("HasArchive"),
        _ if is("reconcile") || is("providerapis") => Some("HasRepair"),
        _ if [
            "relay",
            "event",
            "unsentrecords",
            "settle",
            "roomsnotchecked",
            "sweep",
            "resync",
        ]
        .into_iter()
        .any(is) =>
        {
            Some("HasEvents")
        }
        _ => None,
    }
}

/// Every (method, path, function) that the contract knows.
fn contract() -> BTreeSet<(String, String, String)> {
    let text =
        |route: Route| (route.method.to_string(), route.path.to_owned(), route.function.to_owned());
    routes::all().map(text).collect()
}

/// Whether a backend calls this function. A provider posts to the others.
fn is_for_backends(function: &str) -> bool {
    [QUERY, USER_SIG, ZEGO_TOKEN, ERASE, RECONCILE].contains(&function)
}

#[test]
fn every_function_has_its_folder_and_every_folder_its_function() {
    for new in CALLBACKS {
        for file in ["Cargo.toml", "src/main.rs"] {
            let of = |names: &CallbackNames| format!("functions/{}/{file}", names.function);
            let mut draft = Draft::of(&of(new));
            if draft.has("rollcall") {
                continue;
            }
            match pattern(new) {
                Some(old) => {
                    let old_text = fs::read_to_string(root().join(of(old))).unwrap();
                    draft.append(file, &without_story(&renamed(&old_text, old, new), new));
                }
                None => draft.lacks(file),
            }
            draft.finish();
        }
        let main = Draft::of(&format!("functions/{}/src/main.rs", new.function));
        let runs = format!("run_callback::<rollcall::providers::{}>()", new.path_of_type);
        assert!(main.has(&runs), "{} runs {}", new.function, new.path_of_type);
    }
    let folders: BTreeSet<String> = fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, routes::functions().map(str::to_owned).collect());
}

/// What the template needs for each callback type and each query: a function with its routes, its
/// alarm, the address for a console, and a limit for queries.
#[test]
fn the_template_has_a_block_of_every_function_and_every_block_its_function() {
    let mut draft = Draft::of("template.yaml");
    let resources = template()["Resources"].clone();
    for new in CALLBACKS {
        let id = logical_id(new);
        if resources[format!("{id}Failures")].is_null() {
            draft.add_to_loop(&format!("Fn::ForEach::{:?}Failures", new.provider), &id);
        }
        // OpenIM's server puts the command behind the address of them all.
        let address = new.provider != ProviderName::OpenIm;
        let blocks = [("", true), ("Url", address)];
        for (suffix, is_needed) in blocks {
            let header = |id: &str| format!("  {id}{suffix}:");
            let is_there = match suffix {
                "Url" => draft.has(&format!("${{Api.ApiEndpoint}}{}\"\n", new.paths[0])),
                _ => draft.block(&header(&id)).is_some(),
            };
            if is_there || !is_needed {
                continue;
            }
            let old = pattern(new).filter(|old| draft.block(&header(&logical_id(old))).is_some());
            let Some(old) = old else {
                draft.lacks(&format!("{id}{suffix}"));
                continue;
            };
            let (_, block) = draft.block(&header(&logical_id(old))).unwrap();
            let block = without_story(&renamed(block, old, new), new);
            draft.add_after(&header(&logical_id(old)), &format!("{id}{suffix}"), &block);
        }
    }
    for Route { method, path, function, caller } in routes::all() {
        let key = format!("{method} {path}");
        if caller != Caller::Backend {
            let provider = path.split('/').nth(1).unwrap();
            if !draft.has(&format!("\n        \"{key}\": ")) {
                // The provider's first route has the settings of all.
                let first = CALLBACKS.iter().find(|names| names.provider.as_str() == provider);
                let first = first.map_or(path, |names| names.paths[0]);
                let header = format!("        \"{method} {first}\": &{provider}-limit !If");
                draft.add_after(&header, &key, &format!("        \"{key}\": *{provider}-limit"));
            }
            continue;
        }
        if !draft.has(&format!("\n        \"{key}\": ")) {
            let text = format!("        \"{key}\": *limit");
            draft.add_after("        \"GET /usage/{provider}/{app}\": *limit", &key, &text);
        }
        if function == QUERY && !draft.has(&format!("Method: {method}\n            Path: {path}\n"))
        {
            let name = camel(&format!("{}/{path}", method.as_str().to_lowercase()));
            let text = format!(
                "        {name}:\n          Type: HttpApi\n          Properties:\n            ApiId: !Ref Api\n            \
                 Method: {method}\n            Path: {path}\n            Auth:\n              Authorizer: AWS_IAM"
            );
            draft.add_after("        Usage:", &name, &text);
        }
    }
    draft.finish();
    let blocks: BTreeSet<String> =
        functions(&template()).into_iter().map(|(folder, _)| folder).collect();
    assert_eq!(blocks, routes::functions().map(str::to_owned).collect());
}

/// A draft without what only the pattern is: its description becomes the event's name.
fn without_story(text: &str, new: &CallbackNames) -> String {
    let line = |line: &str| {
        let end = line.find(new.event).map(|start| start + new.event.len());
        match end {
            Some(end) if line.trim_start().starts_with("//!") => {
                let tick = if line[end..].starts_with('`') { "`" } else { "" };
                format!("{}{tick}.", &line[..end])
            }
            Some(end) if line.trim_start().starts_with("Description: \"") => {
                format!("{}\"", &line[..end])
            }
            _ => line.to_owned(),
        }
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_template_has_the_contracts_routes() {
    let mut routes = BTreeSet::new();
    for (function, properties) in functions(&template()) {
        for event in properties["Events"].as_object().unwrap().values() {
            let is_of_queue = event["Type"] == "SQS";
            assert!(is_of_queue || function != SPILL_REPLAY, "{function}");
            if is_of_queue {
                let has_queue = [SPILL_REPLAY, ERASE, SETTLE].contains(&function.as_str());
                assert!(has_queue, "{function}");
                continue;
            }
            if function == RELAY {
                assert_eq!(event["Type"], "DynamoDB");
                continue;
            }
            if function == SWEEP {
                assert_eq!(event["Type"], "Schedule");
            }
            if event["Type"] == "Schedule" {
                assert!([SWEEP, RECONCILE].contains(&function.as_str()), "{function}");
                continue;
            }
            assert_eq!(event["Type"], "HttpApi", "{function}");
            let properties = &event["Properties"];
            let method = properties["Method"].as_str().unwrap().to_owned();
            let path = properties["Path"].as_str().unwrap().to_owned();
            // Providers cannot sign for IAM. All other callers must.
            let authorizer =
                if is_for_backends(&function) { json!("AWS_IAM") } else { Value::Null };
            assert_eq!(properties["Auth"]["Authorizer"], authorizer, "{path}");
            routes.insert((method, path, function.clone()));
        }
    }
    assert_eq!(routes, contract());
}

#[test]
fn cargo_lambda_watch_has_the_contracts_routes() {
    let mut draft = Draft::of("CargoLambda.toml");
    for Route { method, path, function, .. } in routes::all() {
        // The same wildcard in the words of cargo-lambda and of API Gateway.
        let path = path.replace("{proxy+}", "{*proxy}");
        if !draft.has(&format!("\n\"{path}\" = [")) {
            let line =
                format!("\"{path}\" = [{{ method = \"{method}\", function = \"{function}\" }}]\n");
            draft.append(&path, &line);
        }
    }
    draft.finish();
    let settings = fs::read_to_string(root().join("CargoLambda.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    let watched = &settings["watch"]["router"];
    let mut routes = BTreeSet::new();
    for (path, targets) in watched.as_table().unwrap() {
        for target in targets.as_array().unwrap() {
            let text = |name: &str| target[name].as_str().unwrap().to_owned();
            // The same wildcard in the words of cargo-lambda and of API Gateway.
            let path = path.replace("{*proxy}", "{proxy+}");
            routes.insert((text("method"), path, text("function")));
        }
    }
    assert_eq!(routes, contract());
}

/// A new callback type needs its path in `openapi.yaml`, with what its provider sends and what it
/// is answered.
#[test]
fn openapi_has_the_contracts_routes() {
    let mut draft = Draft::of("openapi.yaml");
    for Route { path, .. } in routes::all() {
        // OpenAPI has no parameter for the rest of a path.
        let header = |path: &str| format!("  {}:", path.replace("{proxy+}", "{proxy}"));
        if draft.block(&header(path)).is_some() {
            continue;
        }
        let new = CALLBACKS.iter().find(|names| names.paths.contains(&path));
        let old = new.and_then(pattern);
        match (old, old.and_then(|old| draft.block(&header(old.paths[0])))) {
            (Some(old), Some((_, block))) => {
                let new = new.unwrap();
                let block = renamed(block, old, new).replace(new.paths[0], path);
                // An anchor may occur only once, and the pattern's description is about another
                // event.
                let lines = block.lines().filter(|line| !line.starts_with("      description:"));
                let block: Vec<String> = lines.map(without_anchor).collect();
                draft.add_after(&header(old.paths[0]), path, &block.join("\n"));
            }
            _ => draft.lacks(path),
        }
    }
    draft.finish();
    let openapi = yaml("openapi.yaml");
    let mut routes = BTreeSet::new();
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // What all operations of a path have in common is no operation.
            if method == "parameters" {
                continue;
            }
            // Providers cannot sign for IAM. All other callers must.
            let is_callback = operation["tags"] == json!(["callbacks"]);
            assert_eq!(operation["security"].is_array(), is_callback, "{path}");
            // OpenAPI has no parameter for the rest of a path.
            let path = path.replace("{proxy}", "{proxy+}");
            routes.insert((method.to_uppercase(), path, is_callback));
        }
    }
    let expected = contract().into_iter().map(|(method, path, function)| {
        let is_callback = !is_for_backends(&function);
        (method, path, is_callback)
    });
    assert_eq!(routes, expected.collect());
}

fn without_anchor(line: &str) -> String {
    match line.split_once(": &") {
        Some((before, rest)) => match rest.split_once(' ') {
            Some((_, value)) => format!("{before}: {value}"),
            None => format!("{before}:"),
        },
        None => line.to_owned(),
    }
}

/// The draft for a new callback type refers to a schema that a person must write.
#[test]
fn every_reference_in_openapi_leads_somewhere() {
    fn walk(node: &Value, found: &mut BTreeSet<String>) {
        match node {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| walk(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let openapi = yaml("openapi.yaml");
    let mut found = BTreeSet::new();
    walk(&openapi, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for reference in found {
        let path = reference.strip_prefix('#').unwrap();
        assert!(openapi.pointer(path).is_some(), "openapi.yaml has no {path}");
    }
}

/// The design explains each event, and the changelog announces it to operators.
#[test]
fn every_callback_type_is_in_the_documents_and_measured() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let (design, changelog) = (read("docs/design.md"), read("CHANGELOG.md"));
    let bench = read("bench/src/names.rs");
    for names in CALLBACKS {
        // The bench derives the event of a ZEGO function from its name.
        let function = format!("\"{}\"", names.function);
        let is_measured = names.provider == ProviderName::Zego || bench.contains(&function);
        assert!(is_measured, "bench/src/names.rs lacks {function}");
        let pages = [("docs/design.md", &design), ("CHANGELOG.md", &changelog)];
        for ((page, text), words) in pages.into_iter().zip(words_about(names)) {
            assert!(text.contains(words), "{page} lacks {words}: {}", names.function);
        }
    }
}

/// What the design and the changelog call a callback type: ZEGO's types have the names of their
/// events, and each of the others has words of its own.
fn words_about(names: &CallbackNames) -> [&'static str; 2] {
    match names.path_of_type {
        _ if names.provider == ProviderName::Zego => [names.event; 2],
        "openim::UserRegister" => ["### OpenIM's rules", "`callbackAfterUserRegisterCommand`"],
        "openim::UserOnline" => ["### OpenIM's rules", "`...UserOnlineCommand`"],
        "openim::UserOffline" => ["### OpenIM's rules", "`...UserOfflineCommand`"],
        "openim::UserUpdate" => ["So an update is a hint", "`callbackAfterUpdateUserInfoCommand`"],
        "openim::Any" => ["### OpenIM's rules", "`openim-any`"],
        "tencent::ChatState" => ["### Chat's rules", "`State.StateChange`"],
        "tencent::TrtcEvent" => ["### TRTC's rules", "TRTC's room events"],
        "tencent::RoomEvent" => ["RoomEngine", "RoomEngine"],
        other => panic!("{other} is new: which words of the documents are about it?"),
    }
}

#[tokio::test]
async fn the_template_makes_the_table_that_the_store_makes() {
    let database = Database::start().await;
    let described = database.client.describe_table().table_name(TABLE_NAME).send().await.unwrap();
    let made = described.table().unwrap();
    let keys = |schema: &[KeySchemaElement]| -> Value {
        let key = |element: &KeySchemaElement| json!({ "AttributeName": element.attribute_name, "KeyType": element.key_type.as_str() });
        schema.iter().map(key).collect()
    };

    let template = template();
    let table = &template["Resources"]["Table"];
    let properties = &table["Properties"];
    assert_eq!(properties["KeySchema"], keys(made.key_schema()));
    let [index] = made.global_secondary_indexes() else { panic!("there is one index") };
    let projection = index.projection().unwrap();
    let expected = json!({
        "IndexName": index.index_name().unwrap(),
        "KeySchema": keys(index.key_schema()),
        "Projection": {
            "ProjectionType": projection.projection_type().unwrap().as_str(),
            "NonKeyAttributes": projection.non_key_attributes(),
        }
    });
    let indexes = &properties["GlobalSecondaryIndexes"]["!If"];
    let [mut current, old] = [&indexes[2][0], &indexes[1]["!If"][2][0]].map(Value::clone);
    assert_eq!(indexes[1]["!If"][1], json!([current, old]));
    // How much it takes at once is for the cloud alone.
    for name in ["WarmThroughput", "OnDemandThroughput"] {
        assert_eq!(current.as_object_mut().unwrap().remove(name), Some(old[name].clone()));
    }
    assert_eq!(current, expected);
    assert_eq!(old["KeySchema"], expected["KeySchema"]);
    assert_eq!(old["Projection"], json!({ "ProjectionType": "ALL" }));
    let sorted = |attributes: Vec<Value>| -> BTreeSet<String> {
        attributes.iter().map(Value::to_string).collect()
    };
    let attributes = made.attribute_definitions().iter().map(|attribute| {
        json!({
            "AttributeName": attribute.attribute_name,
            "AttributeType": attribute.attribute_type.as_str()
        })
    });
    let template_attributes = properties["AttributeDefinitions"].as_array().unwrap().clone();
    assert_eq!(sorted(template_attributes), sorted(attributes.collect()));
    let billing = made.billing_mode_summary().unwrap().billing_mode().unwrap();
    assert_eq!(properties["BillingMode"], billing.as_str());
    // In the cloud, the table has a stream of its changes.
    assert_eq!(properties["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    let ttl = database.client.describe_time_to_live().table_name(TABLE_NAME).send().await.unwrap();
    let ttl = ttl.time_to_live_description().unwrap();
    let expected = json!({ "AttributeName": ttl.attribute_name().unwrap(), "Enabled": true });
    assert_eq!(properties["TimeToLiveSpecification"], expected);
    assert_eq!(table["DeletionPolicy"], "Retain", "the table outlives the stack");
}

/// The secret of a provider's functions, by the first word of their names; `query` has none.
fn secret_of(function: &str) -> Option<&'static str> {
    match function {
        USER_SIG => Some("TencentUserSigKeys"),
        ZEGO_TOKEN => Some("ZegoTokenKeys"),
        _ if function.starts_with("zego-") => Some("ZegoApps"),
        _ if function.starts_with("openim-") => Some("OpenImApps"),
        _ if function.starts_with("tencent-") => Some("TencentApps"),
        _ => None,
    }
}

/// Whether a function mints login tickets. Nobody is given that by a policy of the stack.
fn mints_tickets(function: &str) -> bool {
    [USER_SIG, ZEGO_TOKEN].contains(&function)
}

/// A function reads only its own secret. Anyone who can mint a ticket can log in as any user, so
/// the function that mints can do nothing else.
#[test]
fn promise_8_discreet_every_function_may_read_its_own_secret_only() {
    let template = template();
    for (function, properties) in functions(&template) {
        let expected = secret_of(&function).map_or(Value::Null, |name| json!({ "!Ref": name }));
        let variables = &properties["Environment"]["Variables"];
        assert_eq!(variables["ROLLCALL_APPS_SECRET_ARN"], expected, "{function}");
        assert!(variables["ROLLCALL_APPS"].is_null(), "{function}");
        let mut reads = Vec::new();
        let mut others = 0;
        for statement in statements(&template, &properties) {
            let actions = statement["Action"].to_string();
            if actions.contains("secretsmanager:") {
                assert_eq!(statement["Action"], "secretsmanager:GetSecretValue", "{function}");
                reads.push(statement["Resource"].clone());
            } else if !actions.contains("logs:") {
                others += 1;
            }
        }
        let expected: Vec<Value> =
            Some(expected).filter(|name| !name.is_null()).into_iter().collect();
        let expected =
            if function == RECONCILE { vec![json!({ "!Ref": "ProviderApis" })] } else { expected };
        assert_eq!(reads, expected, "{function}");
        assert_eq!(others == 0, mints_tickets(&function), "{function}");
        let of_apis = variables["ROLLCALL_PROVIDER_APIS_SECRET_ARN"].clone();
        assert_eq!(of_apis.is_null(), function != RECONCILE, "{function}");
        assert!(variables["ROLLCALL_PROVIDER_APIS"].is_null(), "{function}");
    }
    let global = template["Globals"]["Function"].to_string();
    assert!(!global.contains("SECRET_ARN") && !global.contains("Policies"), "{global}");
}

/// AWS's managed policies let a function write into every log group, and receive and delete the
/// messages of every queue of the account. So no role has one, and none is left for SAM to make.
#[test]
fn every_function_has_a_role_with_its_own_log_group_and_queue_and_no_managed_policy() {
    let template = template();
    assert!(template["Globals"]["Function"]["Policies"].is_null());
    assert!(
        template["Globals"]["Function"]["Tracing"].is_null(),
        "a role would need X-Ray's actions"
    );
    let mut used = BTreeSet::new();
    for (function, properties) in functions(&template) {
        let own = role(&template, &properties);
        let properties_of_it: Vec<&String> = own.as_object().unwrap().keys().collect();
        assert_eq!(properties_of_it, ["AssumeRolePolicyDocument", "Policies"], "{function}");
        let trusted = &own["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(trusted.as_array().unwrap().len(), 1);
        assert_eq!(trusted[0]["Principal"], json!({ "Service": "lambda.amazonaws.com" }));
        let allowed = iam::policy(&template, &properties);
        for permission in iam::BY_LAMBDA {
            let is_allowed = allowed.contains(&(permission.0.to_owned(), permission.1.to_owned()));
            let is_needed = match permission.1 {
                "SpillQueue.Arn" => function == SPILL_REPLAY,
                "EraseQueue.Arn" => function == ERASE,
                "SettleQueue.Arn" => function == SETTLE,
                "Logs.Arn" => true,
                _ => function == RELAY,
            };
            assert_eq!(is_allowed, is_needed, "{permission:?} by {function}");
        }
        let of_logs = allowed.iter().filter(|(action, _)| action.starts_with("logs:"));
        assert_eq!(of_logs.count(), 2, "{function} writes its own log and no other");
        used.insert(properties["Role"]["!GetAtt"].as_str().unwrap().to_owned());
    }
    let resources = template["Resources"].as_object().unwrap();
    // EventBridge's own, to post events.
    used.insert("WebhookRole.Arn".to_owned());
    let written = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    assert_eq!(used, written.map(|(name, _)| format!("{name}.Arn")).collect());
    assert!(resources.values().all(|resource| resource["Type"] != "AWS::IAM::Policy"));
}

/// *Ask* and *erase* are for those who ask: the stack gives them to nobody, and a route is in the
/// policy that its part of the contract names, or in none.
#[test]
fn each_policy_allows_its_routes_and_nothing_else() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let policies =
        resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::IAM::ManagedPolicy");
    let policies: BTreeSet<&str> = policies.map(|(name, _)| name.as_str()).collect();
    assert_eq!(policies, ["AskPolicy", "ErasePolicy", "ReconcilePolicy", "ResyncPolicy"].into());

    // What the contract has, and all routes that exist.
    let mut allowed: BTreeSet<(Policy, String, String)> = [
        (Policy::Ask, "GET", "/reports/{provider}/{app}/rooms/{room}"),
        (Policy::Ask, "GET", "/reports/{provider}/{app}/rooms/{room}/together"),
        (Policy::Ask, "GET", "/explain/{provider}/{app}/users/{user}"),
        (Policy::Erase, "GET", "/users/{provider}/{app}"),
        (Policy::Erase, "GET", "/users/{provider}/{app}/{user}"),
        (Policy::Erase, "DELETE", "/users/{provider}/{app}"),
        (Policy::Erase, "DELETE", "/users/{provider}/{app}/{user}"),
        (Policy::Erase, "GET", "/erasures/{provider}/{app}"),
        (Policy::Reconcile, "POST", "/reconcile/{provider}/{app}/rooms/{room}"),
    ]
    .map(|(policy, method, path)| (policy, method.to_owned(), path.to_owned()))
    .into();
    let mut paths: BTreeSet<String> = allowed.iter().map(|(.., path)| path.clone()).collect();
    for Route { method, path, function, caller } in routes::all() {
        paths.insert(path.to_owned());
        match Policy::of(path) {
            Some(policy) => {
                assert_eq!(caller, Caller::Backend, "{path}");
                allowed.insert((policy, method.to_string(), path.to_owned()));
            }
            None => assert!(caller != Caller::Backend || mints_tickets(function), "{path}"),
        }
    }
    // Paths that only look like one of them. What comes before them is not theirs.
    paths.extend(["/", "/x/GET/presence/zego", "/users-of/zego/1", "/presence"].map(str::to_owned));

    let arn = |api: &str, method: &str, path: &str| {
        format!("arn:aws:execute-api:eu-central-1:123456789012:{api}/{method}{path}")
    };
    for policy in [Policy::Ask, Policy::Erase, Policy::Reconcile] {
        let output = &template["Outputs"][policy.output()];
        let resource = &template["Resources"][output["Value"]["!Ref"].as_str().unwrap()];
        let properties = resource["Properties"].as_object().unwrap();
        let names: Vec<&String> = properties.keys().collect();
        assert_eq!(names, ["Description", "PolicyDocument"], "it is attached to nobody");
        let document = &resource["Properties"]["PolicyDocument"];
        for path in &paths {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
                let is_its = allowed.contains(&(policy, method.to_owned(), path.clone()));
                // A user may have any name, such as one that looks like a path.
                for name in ["ada", "a%2FGET%2Fpresence", "GET/presence/x", "*", "a b"] {
                    let path = path.replace("{provider}", "zego").replace("{app}", "1");
                    let path = path.replace("{user}", name).replace("{room}", name);
                    let path = path.replace("{proxy+}", name);
                    let allows = |api| iam::allows(document, &arn(api, method, &path));
                    // Of a GET below a first part that is its own, there is nothing else to allow.
                    // To ask a provider is a POST.
                    let reads = if policy == Policy::Reconcile { "POST" } else { "GET" };
                    let is_below = method == reads
                        && Policy::of(&path) == Some(policy)
                        && path.trim_start_matches('/').contains('/');
                    assert_eq!(allows("abc123/$default"), is_its || is_below, "{method} {path}");
                    assert!(!allows("another/$default") && !allows("abc123/test"), "{path}");
                }
            }
        }
    }
}

/// A provider's resources exist only if `Providers` names it. `.ci/tools/template` deploys every
/// combination.
#[test]
fn what_belongs_to_a_provider_is_left_out_with_it() {
    let template = template();
    let parameter = &template["Parameters"]["Providers"];
    assert_eq!(parameter["Default"], "zego,openim,tencent", "all three");
    assert_eq!(parameter["AllowedValues"], json!(["zego", "openim", "tencent"]));
    for section in ["Resources", "Outputs"] {
        for (name, part) in template[section].as_object().unwrap() {
            let expected = match name.as_str() {
                "Table" => Some("MakesTable"),
                name => condition_of(name),
            };
            assert_eq!(part["Condition"].as_str(), expected, "{name}");
        }
    }
    let settings = &template["Resources"]["Api"]["Properties"]["RouteSettings"];
    for (route, settings) in settings.as_object().unwrap() {
        let path = route.split_once(" /").unwrap().1;
        // A limit for callbacks is there only with its provider.
        let condition = settings["!If"][0].as_str().map(|name| name.replace("Throttles", "Has"));
        assert_eq!(condition.as_deref(), condition_of(path), "{route}");
    }
}

/// Secrets, spilled callbacks and the record outlive the stack, even if they get a new name.
#[test]
fn what_holds_data_outlives_the_stack() {
    let template = template();
    let kept = [
        "AWS::SecretsManager::Secret",
        "AWS::SQS::Queue",
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
    ];
    let mut names = BTreeSet::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if !kept.iter().any(|kind| resource["Type"] == *kind) {
            assert!(resource["DeletionPolicy"].is_null(), "{name}");
            continue;
        }
        // A table that is protected against deletion could not be deleted after a failed creation.
        let is_protected = resource["Properties"]["DeletionProtectionEnabled"] == true;
        let policy = if is_protected { "Retain" } else { "RetainExceptOnCreate" };
        assert_eq!(resource["DeletionPolicy"], policy, "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
        names.insert(name.as_str());
    }
    // Under another name it would be another resource, without what is in this one.
    let expected = [
        "EraseQueue",
        "OpenImApps",
        "ProviderApis",
        "SettleQueue",
        "SpillDeadLetters",
        "SpillQueue",
        "SpillRedrive",
        "Table",
        "TencentApps",
        "TencentUserSigKeys",
        "UnsentRecords",
        "WebhookDeadLetters",
        "WebhookKey",
        "ZegoApps",
        "ZegoTokenKeys",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

/// The stack's table, or one that exists: environment, policies and output all follow the
/// parameter.
#[test]
fn a_table_that_exists_takes_the_place_of_the_stacks_own_everywhere() {
    let template = template();
    let mut uses = 0;
    let mut look_at = vec![("", &template)];
    while let Some((parent, node)) = look_at.pop() {
        match node {
            Value::Object(members) => {
                if let Some(branches) =
                    members.get("!If").filter(|branches| branches[0] == "MakesTable")
                {
                    assert!(branches[1].to_string().contains("Table"), "{branches}");
                    assert!(!branches[2].to_string().contains("Table.Arn"), "{branches}");
                    let parameters = ["TableName", "TableStreamArn"];
                    let other = branches[2].to_string();
                    assert!(parameters.iter().any(|name| other.contains(name)), "{branches}");
                    uses += 1;
                    continue;
                }
                look_at.extend(members.iter().map(|(name, part)| (name.as_str(), part)));
            }
            Value::Array(parts) => look_at.extend(parts.iter().map(|part| (parent, part))),
            Value::String(text) => {
                let is_own = (parent == "!Ref" && text == "Table")
                    || (parent == "!GetAtt" && text.starts_with("Table."))
                    || text.contains("${Table.");
                assert!(!is_own, "{parent} {text} is there for the stack's own table only");
            }
            _ => {}
        }
    }
    assert_eq!(
        uses, 26,
        "environment, output, events, an alarm, the dashboard, and one in each statement of a policy"
    );
}

/// A stack's name has at most 138 characters. Every name that contains it must stay within the
/// limit of its service. Resources without a name get one from `CloudFormation` that is short
/// enough.
#[test]
fn a_stack_may_have_the_longest_name_there_is() {
    let template = template();
    // The limits of the services.
    let limits = [
        ("LogGroupName", 512),
        ("DashboardName", 255),
        ("EventBusName", 256),
        ("Name", 256), // of an event bus; 512 of a secret
    ];
    for (name, resource) in template["Resources"].as_object().unwrap() {
        for (property, value) in resource["Properties"].as_object().unwrap() {
            if !property.ends_with("Name")
                || ["MetricName", "PolicyName"].contains(&property.as_str())
            {
                continue;
            }
            let limit = limits.iter().find(|(named, _)| named == property);
            let (_, limit) = limit.unwrap_or_else(|| panic!("{name} has a {property}"));
            let text = ["!Sub", "!Ref", "!GetAtt"].iter().find_map(|tag| value[tag].as_str());
            let text = text.unwrap();
            let longest = text.replace("AWS::StackName", "").len() + 128;
            assert!(longest <= *limit, "{property} of {name}");
        }
    }
}

/// The secrets are made without apps, in the JSON that the functions read.
#[test]
fn the_templates_secrets_can_be_read() {
    let resources = template()["Resources"].clone();
    // What a webhook is posted with is made by Secrets Manager.
    let made_by_hand = |resource: &Value| resource["Properties"]["GenerateSecretString"].is_null();
    let secrets = resources.as_object().unwrap().iter().filter(|(_, resource)| {
        resource["Type"] == "AWS::SecretsManager::Secret" && made_by_hand(resource)
    });
    let mut names = Vec::new();
    for (name, secret) in secrets {
        let text = secret["Properties"]["SecretString"].as_str().unwrap();
        if name == "ProviderApis" {
            let of_providers = config::ProviderApis::from_json(text).unwrap();
            assert_eq!(of_providers.apps().count(), 0);
        } else {
            let apps = config::Apps::from_json(text).unwrap();
            assert!(apps.zego.is_empty() && apps.openim.is_empty() && apps.tencent.is_empty());
        }
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "OpenImApps",
            "ProviderApis",
            "TencentApps",
            "TencentUserSigKeys",
            "ZegoApps",
            "ZegoTokenKeys"
        ]
    );
}

#[test]
fn a_report_ends_before_its_function_does() {
    let template = yaml("template.yaml");
    let timeout = template["Resources"]["Query"]["Properties"]["Timeout"].as_u64().unwrap();
    assert!(rollcall::query::QueryLimits::DEFAULT.time.as_secs() + 2 <= timeout);
}

/// Timeouts above the provider's would hide our own 503.
#[test]
fn callbacks_end_before_their_provider_gives_up() {
    let template = template();
    let timeout = &template["Globals"]["Function"]["Timeout"];
    assert!(timeout.as_u64().unwrap() <= 4);
    for (function, properties) in functions(&template) {
        match function.as_str() {
            QUERY | SPILL_REPLAY | ERASE | RECONCILE | RELAY | SETTLE | SWEEP => {}
            // Chat gives up after 2 s, and an answer takes at most 1.5 s.
            "tencent-chat-state" => assert_eq!(properties["Timeout"], 2),
            _ => assert!(properties["Timeout"].is_null(), "{function} has the common timeout"),
        }
    }
}

/// Promise 5: callbacks can send to the queue and do nothing else with it, and nobody else can.
#[test]
fn promise_5_never_lost_every_callback_has_the_queue_and_an_outage_never_empties_it() {
    let template = template();
    let is_callback = |function: &str| CALLBACKS.iter().any(|names| names.function == function);
    for (function, properties) in functions(&template) {
        let queue = &properties["Environment"]["Variables"]["ROLLCALL_SPILL_QUEUE_URL"];
        let has_queue = is_callback(&function) || function == SPILL_REPLAY;
        let expected = if has_queue { json!({ "!Ref": "SpillQueue" }) } else { Value::Null };
        assert_eq!(*queue, expected, "{function}");
        let of_sqs: Vec<&Value> = statements(&template, &properties)
            .into_iter()
            .filter(|statement| statement["Action"].to_string().contains("sqs:"))
            .collect();
        match function.as_str() {
            SPILL_REPLAY => {
                let dead_letters = json!({ "!GetAtt": "SpillDeadLetters.Arn" });
                assert_eq!(of_sqs.len(), 2);
                assert_eq!(of_sqs[0]["Resource"], json!({ "!GetAtt": "SpillQueue.Arn" }));
                assert_eq!(of_sqs[1]["Action"], "sqs:SendMessage");
                assert_eq!(of_sqs[1]["Resource"], dead_letters);
            }
            ERASE => {
                assert_eq!(of_sqs.len(), 1);
                assert_eq!(of_sqs[0]["Resource"], json!({ "!GetAtt": "EraseQueue.Arn" }));
            }
            RELAY | SETTLE => {
                assert_eq!(of_sqs.len(), 1);
                assert_eq!(of_sqs[0]["Resource"], json!({ "!GetAtt": "SettleQueue.Arn" }));
            }
            callback if is_callback(callback) => {
                assert_eq!(of_sqs.len(), 1, "{function}");
                assert_eq!(of_sqs[0]["Action"], "sqs:SendMessage", "{function}");
                assert_eq!(of_sqs[0]["Resource"], json!({ "!GetAtt": "SpillQueue.Arn" }));
            }
            _ => assert!(of_sqs.is_empty(), "{function}"),
        }
    }

    let replay = functions(&template).into_iter().find(|(name, _)| name == SPILL_REPLAY).unwrap().1;
    let source = &replay["Events"]["Spilled"]["Properties"];
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(source["Queue"], json!({ "!GetAtt": "SpillQueue.Arn" }));
    let concurrency = json!({ "!Ref": "DrainConcurrency" });
    assert_eq!(source["ScalingConfig"]["MaximumConcurrency"], concurrency);
    let concurrency = &template["Parameters"]["DrainConcurrency"];
    // Lambda's own limits, and those of SQS on messages in flight: a batch is tried, and then waits.
    assert!(concurrency["MinValue"].as_u64().unwrap() >= 2);
    let most = concurrency["MaxValue"].as_u64().unwrap();
    assert!(most <= 1000);
    let timeout = replay["Timeout"].as_u64().unwrap();
    let tried = timeout * u64::from(spill::STORE_PERCENT) / 100;
    let batch = source["BatchSize"].as_u64().unwrap();
    let in_flight = most * batch * (tried + spill::LONGEST_WAIT.as_secs()) / tried;
    assert!(in_flight < 120_000, "{in_flight} messages in flight");
    assert!(source["MaximumBatchingWindowInSeconds"].as_u64().unwrap() >= 1, "of such a batch");
    let queue = &template["Resources"]["SpillQueue"]["Properties"];
    let fourteen_days = 14 * 24 * 60 * 60;
    let given_up_after = spill::GIVEN_UP_AFTER.as_secs();
    assert!(given_up_after + 24 * 60 * 60 < fourteen_days, "there is time to do it again");
    assert_eq!(queue["MessageRetentionPeriod"], fourteen_days);
    assert!(queue["RedrivePolicy"].is_null(), "an outage of days would fill the dead letters");
    let unread_after = spill::UNREAD_AFTER.as_secs();
    assert!(given_up_after < unread_after && unread_after + 12 * 60 * 60 < fourteen_days);
    // SQS moves messages only out of a queue that another one names.
    let redrive = &template["Resources"]["SpillRedrive"]["Properties"]["RedrivePolicy"];
    assert_eq!(redrive["deadLetterTargetArn"], json!({ "!GetAtt": "SpillDeadLetters.Arn" }));
    assert_eq!(queue["SqsManagedSseEnabled"], true);
    let visible_again = queue["VisibilityTimeout"].as_u64().unwrap();
    assert!(visible_again >= 6 * replay["Timeout"].as_u64().unwrap());
    let dead_letters = &template["Resources"]["SpillDeadLetters"]["Properties"];
    assert_eq!(dead_letters["MessageRetentionPeriod"], fourteen_days);
    assert_eq!(dead_letters["SqsManagedSseEnabled"], true);
}

/// Promise 9: no record is given up while a bus is down for an hour, and none is dropped then.
#[test]
fn promise_9_reported_records_are_tried_for_longer_than_an_hour_and_then_kept() {
    let template = template();
    let relay = functions(&template).into_iter().find(|(name, _)| name == RELAY).unwrap().1;
    let source = &relay["Events"]["Changes"]["Properties"];
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(source["BisectBatchOnFunctionError"], true);
    assert_eq!(source["StartingPosition"], "TRIM_HORIZON");
    let failed = json!({ "OnFailure": { "Destination": { "!GetAtt": "UnsentRecords.Arn" } } });
    assert_eq!(source["DestinationConfig"], failed);
    // The relay itself tries for nine tenths of its time.
    let tries = 1 + source["MaximumRetryAttempts"].as_u64().unwrap();
    assert!(tries * relay["Timeout"].as_u64().unwrap() * 9 / 10 > 3600);
    let resources = &template["Resources"];
    let behind = &resources["RelayBehind"]["Properties"];
    assert_eq!(behind["MetricName"], "IteratorAge");
    assert_eq!(behind["Threshold"], 3_600_000);
    let target = &resources["WebhookRule"]["Properties"]["Targets"][0];
    assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 24 * 60 * 60);
    assert_eq!(target["DeadLetterConfig"]["Arn"], json!({ "!GetAtt": "WebhookDeadLetters.Arn" }));
}

/// A run ends before its lease, so that nobody else works then, and before the next one begins.
#[test]
fn the_sweep_ends_before_its_lease_and_before_the_next_run() {
    let template = template();
    let function = functions(&template).into_iter().find(|(name, _)| name == SWEEP).unwrap().1;
    let timeout = function["Timeout"].as_u64().unwrap();
    assert!(timeout < sweep::LEASE.as_secs());
    assert_eq!(function["Events"]["EachMinute"]["Properties"]["Schedule"], "rate(1 minute)");
    assert!(timeout < 60);
    assert_eq!(function["EventInvokeConfig"]["MaximumRetryAttempts"], 0);
    let variables = &function["Environment"]["Variables"];
    let budget = json!({ "!Ref": "SweepReadUnitsPerSecond" });
    assert_eq!(variables["ROLLCALL_SWEEP_READ_UNITS_PER_SECOND"], budget);
    let default = template["Parameters"]["SweepReadUnitsPerSecond"]["Default"].clone();
    let expected = rollcall::config::DEFAULT_SWEEP_READ_UNITS.get();
    assert_eq!(default, expected);
}

/// The second pass comes when no provider repeats a callback any more, and is tried until it is done.
#[test]
fn an_erasure_is_repeated_as_late_as_the_code_says() {
    let template = template();
    let function = functions(&template).into_iter().find(|(name, _)| name == ERASE).unwrap().1;
    let queue = &template["Resources"]["EraseQueue"]["Properties"];
    assert_eq!(queue["DelaySeconds"], erase::SECOND_PASS_AFTER.as_secs());
    assert_eq!(queue["SqsManagedSseEnabled"], true);
    assert!(queue["RedrivePolicy"].is_null(), "a dead letter would name the person");
    assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 60 * 60);
    let timeout = function["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);
    assert!(erase::REQUEST_LIMIT.as_secs() + 5 < timeout, "it answers before it is ended");
    let source = &function["Events"]["Again"]["Properties"];
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(source["Queue"], json!({ "!GetAtt": "EraseQueue.Arn" }));
    let variables = &function["Environment"]["Variables"];
    assert_eq!(variables["ROLLCALL_ERASE_QUEUE_URL"], json!({ "!Ref": "EraseQueue" }));
}

/// The check of a room is tried until it is done, and the queue can delay it by the whole grace.
#[test]
fn a_room_is_checked_until_it_is_done_and_after_the_grace_of_the_template() {
    let template = template();
    let resources = &template["Resources"];
    let of = |name| functions(&template).into_iter().find(|(named, _)| named == name).unwrap().1;
    let settle = of(SETTLE);
    let queue = &resources["SettleQueue"]["Properties"];
    assert_eq!(queue["SqsManagedSseEnabled"], true);
    assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 60 * 60);
    assert!(queue["RedrivePolicy"].is_null() && queue["DelaySeconds"].is_null());
    let timeout = settle["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);
    let source = &settle["Events"]["Checks"]["Properties"];
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(source["Queue"], json!({ "!GetAtt": "SettleQueue.Arn" }));
    for properties in [of(RELAY), settle] {
        let variables = &properties["Environment"]["Variables"];
        assert_eq!(variables["ROLLCALL_SETTLE_QUEUE_URL"], json!({ "!Ref": "SettleQueue" }));
        assert_eq!(variables["ROLLCALL_SETTLE_SECONDS"], json!({ "!Ref": "SettleSeconds" }));
    }
    let grace = &template["Parameters"]["SettleSeconds"];
    assert_eq!(grace["Default"], config::DEFAULT_SETTLE.as_secs());
    assert_eq!(grace["MinValue"], 0);
    assert_eq!(grace["MaxValue"], config::MAX_SETTLE.as_secs());
    assert_eq!(config::MAX_SETTLE, queue::MAX_DELAY);
}

/// OpenIM and Chat lose an event that gets a 429. So callbacks are throttled only if an operator wants
/// it; what a backend calls always is. A provider's limit is that of each of its routes, so its flood
/// takes nothing of another provider's share.
#[test]
fn a_callback_is_throttled_only_by_its_provider_s_parameter() {
    let template = template();
    let api = &template["Resources"]["Api"]["Properties"];
    assert!(api["DefaultRouteSettings"].is_null(), "it would throttle callbacks, too");
    let throttled: BTreeSet<String> =
        api["RouteSettings"].as_object().unwrap().keys().cloned().collect();
    let all = contract().into_iter();
    assert_eq!(throttled, all.map(|(method, path, _)| format!("{method} {path}")).collect());
    let none = json!({ "!Ref": "AWS::NoValue" });
    for names in CALLBACKS {
        let parameter = format!("{:?}RequestsPerSecond", names.provider);
        assert_eq!(template["Parameters"][&parameter]["Default"], 0, "{parameter}");
        let condition = format!("Throttles{:?}", names.provider);
        let limit = json!({
            "ThrottlingRateLimit": { "!Ref": parameter },
            "ThrottlingBurstLimit": { "!Ref": parameter },
        });
        for path in names.paths {
            let settings = &api["RouteSettings"][format!("POST {path}")];
            assert_eq!(settings["!If"], json!([condition, limit, none]), "{path}");
        }
        let is_set = json!({ "!Not": [{ "!Equals": [{ "!Ref": parameter }, 0] }] });
        let has = json!({ "!Condition": format!("Has{:?}", names.provider) });
        assert_eq!(template["Conditions"][&condition], json!({ "!And": [has, is_set] }));
    }
}

/// What is reserved for one function is taken from all others, and a function takes no more than its
/// own. A callback must never be refused for that, and a new account has nothing to reserve.
#[test]
fn concurrency_is_reserved_for_no_callback_and_by_default_for_nothing() {
    let template = template();
    for (function, properties) in functions(&template) {
        let reserved = &properties["ReservedConcurrentExecutions"];
        let name = match function.as_str() {
            QUERY => "Query",
            SPILL_REPLAY => "SpillReplay",
            _ => {
                assert!(reserved.is_null(), "{function} would throttle itself");
                continue;
            }
        };
        let parameter = json!({ "!Ref": format!("{name}Concurrency") });
        let none = json!({ "!Ref": "AWS::NoValue" });
        assert_eq!(reserved["!If"], json!([format!("Reserves{name}"), parameter, none]));
        assert_eq!(template["Parameters"][format!("{name}Concurrency")]["Default"], 0);
        let is_set = json!({ "!Not": [{ "!Equals": [parameter, 0] }] });
        assert_eq!(template["Conditions"][format!("Reserves{name}")], is_set);
    }
}

/// `DynamoDB` decides, unless an operator does.
#[test]
fn the_table_and_the_index_are_warm_and_limited_only_by_their_parameters() {
    let template = template();
    let table = &template["Resources"]["Table"]["Properties"];
    let index = &table["GlobalSecondaryIndexes"]["!If"][2][0];
    for (name, of) in [("Table", table), ("Index", index)] {
        for (property, condition, parameter, units) in [
            (
                "WarmThroughput",
                format!("Warms{name}"),
                format!("{name}WarmThroughput"),
                ["ReadUnitsPerSecond", "WriteUnitsPerSecond"],
            ),
            (
                "OnDemandThroughput",
                format!("Limits{name}"),
                format!("{name}MaxThroughput"),
                ["MaxReadRequestUnits", "MaxWriteRequestUnits"],
            ),
        ] {
            let is_set = json!({ "!Not": [{ "!Equals": [{ "!Ref": parameter }, ""] }] });
            assert_eq!(template["Conditions"][&condition], is_set);
            assert_eq!(template["Parameters"][&parameter]["Default"], "");
            let number = |index: usize| json!({ "!Select": [index, { "!Split": [",", { "!Ref": parameter }] }] });
            let units: Map<String, Value> =
                (0..).zip(units).map(|(index, unit)| (unit.to_owned(), number(index))).collect();
            let none = json!({ "!Ref": "AWS::NoValue" });
            assert_eq!(
                of[property]["!If"],
                json!([condition, units, none]),
                "{property} of {name}"
            );
        }
    }
}

/// Paths and query strings of queries contain ids, and those of callbacks signatures.
#[test]
fn access_logs_name_routes_and_never_paths() {
    let template = template();
    let format = &template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"];
    let format: Value = serde_json::from_str(format.as_str().unwrap()).unwrap();
    assert_eq!(format["route"], "$context.routeKey");
    for value in format.as_object().unwrap().values() {
        let value = value.as_str().unwrap();
        let is_told = ["path", "query", "sourceIp", "identity", "authorizer", "userAgent"]
            .iter()
            .any(|word| value.to_lowercase().contains(&word.to_lowercase()));
        assert!(!is_told, "{value}");
    }
}

#[test]
fn every_log_group_forgets() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let groups = resources.iter().filter(|(_, group)| group["Type"] == "AWS::Logs::LogGroup");
    let mut count = 0;
    for (name, group) in groups {
        let retention = json!({ "!Ref": "LogRetentionDays" });
        assert_eq!(group["Properties"]["RetentionInDays"], retention, "{name}");
        count += 1;
    }
    assert_eq!(count, 2, "the functions' and the gateway's");
}

/// Errors and throttles of each function, and a notification by each alarm.
#[test]
fn every_function_has_its_alarm_and_every_alarm_notifies_the_topic() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let of_type = |wanted: &'static str| resources.iter().filter(move |(_, r)| r["Type"] == wanted);
    let mut watched = BTreeSet::new();
    for (name, alarm) in of_type("AWS::CloudWatch::Alarm") {
        let alarm = &alarm["Properties"];
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.len() > 20), "{name}");
        let topic = json!([{ "!Ref": "AlarmTopicArn" }]);
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions]["!If"][1], topic, "{name} notifies nobody");
        }
        // Missing data means silence. All other alarms ignore it.
        let is_silence = name.ends_with("Silence");
        let missing = if is_silence { "breaching" } else { "notBreaching" };
        assert_eq!(alarm["TreatMissingData"], missing, "{name}");
        // What is added or subtracted has no value where one of the two has none.
        for query in alarm["Metrics"].as_array().into_iter().flatten() {
            let Some(expression) = query["Expression"].as_str() else { continue };
            for operator in [" + ", " - "] {
                for term in expression.split(operator).filter(|_| expression.contains(operator)) {
                    assert!(term.starts_with("FILL(") && term.ends_with(", 0)"), "{name}: {term}");
                }
            }
        }
        for query in alarm["Metrics"].as_array().into_iter().flatten() {
            let metric = &query["MetricStat"]["Metric"];
            if metric["Namespace"] == "AWS/Lambda"
                && let Some(function) = metric["Dimensions"][0]["Value"]["!Ref"].as_str()
            {
                watched.insert((function, metric["MetricName"].as_str().unwrap()));
            }
        }
    }
    let wanted = of_type("AWS::Serverless::Function")
        .flat_map(|(name, _)| ["Errors", "Throttles"].map(|metric| (name.as_str(), metric)));
    assert_eq!(watched, wanted.collect());
    for provider in ProviderName::ALL {
        for alarm in ["Rejections", "Silence", "Latency", "Spilling"] {
            let alarm = format!("{provider:?}{alarm}");
            assert!(resources.contains_key(&alarm), "{alarm}");
        }
    }
    let queue_of = |metric: &Value| metric["Dimensions"][0]["Value"].clone();
    let dead_letters = &resources["DeadLetters"]["Properties"];
    assert_eq!(queue_of(dead_letters), json!({ "!GetAtt": "SpillDeadLetters.QueueName" }));
    // A message that was received three times is not in ApproximateAgeOfOldestMessage; in flight it
    // is not visible.
    for (name, function) in functions(&template) {
        let Some(queue) = function["Events"].as_object().and_then(|events| {
            events.values().find_map(|event| event["Properties"]["Queue"]["!GetAtt"].as_str())
        }) else {
            continue;
        };
        let queue = queue.trim_end_matches(".Arn");
        // A check of a room is a message, so this queue is hardly ever empty. It has to be read.
        if name == SETTLE {
            let alarm = &resources["SettleNotRead"]["Properties"];
            assert_eq!(alarm["MetricName"], "ApproximateAgeOfOldestMessage");
            assert_eq!(queue_of(alarm), json!({ "!GetAtt": "SettleQueue.QueueName" }));
            let longest_delay = config::MAX_SETTLE.as_secs();
            assert!(alarm["Threshold"].as_u64().unwrap() > 2 * longest_delay);
            continue;
        }
        let alarm = format!("{}NotEmpty", queue.trim_end_matches("Queue"));
        let alarm = &resources.get(&alarm).unwrap_or_else(|| panic!("{name} has no {alarm}"));
        let waiting = alarm["Properties"]["Metrics"].as_array().unwrap();
        let counted: Vec<&Value> =
            waiting[1..].iter().map(|query| &query["MetricStat"]["Metric"]).collect();
        for (metric, name) in counted
            .iter()
            .zip(["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"])
        {
            assert_eq!(metric["MetricName"], name);
            assert_eq!(queue_of(metric), json!({ "!GetAtt": format!("{queue}.QueueName") }));
        }
        assert_eq!(alarm["Properties"]["EvaluationPeriods"], 3);
    }
    // Two attempts to store a message may be this far apart.
    let too_old = &resources["SpillTooOld"]["Properties"];
    assert!(too_old["Period"].as_u64().unwrap() >= spill::wait("", u32::MAX).as_secs());
    let slow = resources["ZegoLatency"]["Properties"]["Threshold"].as_u64().unwrap();
    assert!((1000..1500).contains(&slow), "near the budget of 1500 ms and below it");
}

#[test]
fn every_console_s_address_is_an_output() {
    let template = template();
    let outputs = template["Outputs"].as_object().unwrap().values();
    let addresses: BTreeSet<&str> =
        outputs.filter_map(|output| output["Value"]["!Sub"].as_str()).collect();
    for names in CALLBACKS.iter().filter(|names| names.provider != ProviderName::OpenIm) {
        let url = format!("${{Api.ApiEndpoint}}{}", names.paths[0]);
        assert!(addresses.contains(url.as_str()), "{url}");
    }
    // OpenIM's server appends the command.
    assert!(addresses.contains("${Api.ApiEndpoint}/openim"));
}

/// `CloudWatch` looks at more periods than it was asked to, and waits, when values are missing. So
/// silence is counted in periods of five minutes that all have a value, as many as
/// `SilentAfterSeconds` has.
#[test]
fn a_provider_counts_as_silent_exactly_when_the_parameter_says() {
    let template = template();
    let periods = json!({ "!FindInMap": ["Silence", { "!Ref": "SilentAfterSeconds" }, "Periods"] });
    for provider in ["Zego", "OpenIm", "Tencent"] {
        let alarm = &template["Resources"][format!("{provider}Silence")]["Properties"];
        assert_eq!(alarm["EvaluationPeriods"], periods);
        assert_eq!(alarm["DatapointsToAlarm"], periods);
        for query in &alarm["Metrics"].as_array().unwrap()[1..] {
            assert_eq!(query["MetricStat"]["Period"], 300);
        }
    }
    let allowed = &template["Parameters"]["SilentAfterSeconds"]["AllowedValues"];
    for seconds in allowed.as_array().unwrap() {
        let seconds = seconds.as_str().unwrap();
        let periods = template["Mappings"]["Silence"][seconds]["Periods"].as_u64().unwrap();
        assert_eq!(periods * 300, seconds.parse::<u64>().unwrap());
        assert!(periods * 300 <= 86_400, "CloudWatch looks back a day at most");
    }
    assert_eq!(
        template["Mappings"]["Silence"].as_object().unwrap().len(),
        allowed.as_array().unwrap().len()
    );
}

/// At INFO, Lambda writes two own lines for each event, which cost as much as ours.
#[test]
fn of_lambdas_own_lines_only_warnings_are_logged() {
    let template = template();
    let logging = &template["Globals"]["Function"]["LoggingConfig"];
    assert_eq!(logging["SystemLogLevel"], "WARN");
    assert_eq!(logging["ApplicationLogLevel"], "INFO", "what is not logged is not counted");
}

/// `CloudFormation` accepts 500, but a stack should stay readable. SAM adds at most two permissions
/// for each event, and the API's stage.
#[test]
fn the_stack_has_at_most_250_resources() {
    let template = template();
    let functions = functions(&template);
    let events =
        functions.iter().map(|(_, function)| function["Events"].as_object().unwrap().len());
    let written = template["Resources"].as_object().unwrap().len();
    let made = written + 2 * events.sum::<usize>() + 1;
    assert!(made <= 250, "{made}");
}

//! Everything that the documents name exists, and everything that exists is in the documents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rollcall::routes::{self, ERASE, QUERY, RECONCILE, Route};
use serde_json::Value;

use crate::template::template;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn operations() -> String {
    fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

/// The texts of all files under these folders and of these files.
fn texts(of: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut paths: Vec<_> = of.iter().map(|path| root().join(path)).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            // Installed tools and build results are not ours.
            let is_ours = |path: &Path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                !["venv", "cargo-tools", "target", "corpus", "results", "node_modules"]
                    .contains(&name)
            };
            let inside = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            paths.extend(inside.filter(|path| is_ours(path)));
        } else {
            texts.extend(fs::read_to_string(path));
        }
    }
    texts
}

/// The rows of the table that comes first after a line.
fn table_after<'a>(text: &'a str, line: &str) -> Vec<Vec<&'a str>> {
    let (_, after) = text.split_once(line).unwrap_or_else(|| panic!("there is no {line}"));
    let lines = after.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The texts between backquotes.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_parameters_is_that_of_the_template() {
    let operations = operations();
    let mut documented = BTreeMap::new();
    for row in table_after(&operations, "**3. Deploy. (AWS)**") {
        let [name] = code(row[0])[..] else { panic!("{row:?} is one parameter") };
        let default = if row[1].starts_with("empty") { "" } else { row[1].trim_matches('`') };
        assert!(
            documented.insert(name.to_owned(), default.to_owned()).is_none(),
            "{name} is there twice"
        );
    }
    let template = template();
    let parameters = template["Parameters"].as_object().unwrap().iter();
    let written = parameters.map(|(name, parameter)| {
        let default = &parameter["Default"];
        (name.clone(), default.as_str().map_or_else(|| default.to_string(), str::to_owned))
    });
    assert_eq!(documented, written.collect());
}

#[test]
fn the_table_of_alarms_is_that_of_the_template() {
    let operations = operations();
    let mut documented = BTreeSet::new();
    for row in table_after(&operations, "\n## Read the alarms") {
        documented.extend(code(row[0]).into_iter().map(str::to_owned));
    }
    let template = template();
    let mut written = BTreeSet::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::CloudWatch::Alarm" {
            // One for each function.
            let name = if name.ends_with("Failures") { "...Failures" } else { name };
            written.insert(name.to_owned());
        }
    }
    assert_eq!(documented, written);
}

#[test]
fn every_output_or_parameter_that_the_documents_name_is_one_of_the_template() {
    let template = template();
    let (outputs, parameters) = (&template["Outputs"], &template["Parameters"]);
    let mut found = BTreeSet::new();
    for text in texts(&["README.md", "docs"]) {
        let names = code(&text).into_iter();
        for name in names.filter(|name| name.ends_with("Url") || name.ends_with("Arn")) {
            if name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase) {
                assert!(!outputs[name].is_null() || !parameters[name].is_null(), "{name}");
                found.insert(name.to_owned());
            }
        }
    }
    assert!(found.len() >= 8, "hardly any was found: {found:?}");
}

/// The table of the README, and what an id that is not safe in a path is asked with.
#[test]
fn the_table_of_queries_is_that_of_the_routes() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut documented = BTreeSet::new();
    for row in table_after(&readme, "\n## Ask it") {
        let Some(request) = code(row[0]).first().copied().filter(|text| text.contains(' ')) else {
            // It names the row before it and one more parameter.
            continue;
        };
        let path = request.split('?').next().unwrap().replace("/tencent/", "/{provider}/");
        documented.insert(path);
    }
    let is_asked = |route: &Route| [QUERY, ERASE, RECONCILE].contains(&route.function);
    let mut written: BTreeSet<String> = routes::all()
        .filter(is_asked)
        .map(|Route { method, path, .. }| format!("{method} {path}"))
        .collect();
    // Of two paths to one answer the table has the one with the id.
    for path in documented.clone() {
        let without_id = path.replace("/{user}", "").replace("/rooms/{room}/together", "/together");
        let without_id = without_id.replace("/{room}", "");
        if without_id != path && !documented.contains(&without_id) {
            assert!(written.remove(&without_id), "{path} has no form for an id of any character");
        }
    }
    assert_eq!(documented, written);
}

/// The names with our variables' prefix.
fn variables(texts: &[String]) -> BTreeSet<&str> {
    // In two parts, so that this file contains no such name.
    let prefix = concat!("ROLL", "CALL_");
    let mut found = BTreeSet::new();
    for text in texts {
        for (at, _) in text.match_indices(prefix) {
            let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let name = &text[at..];
            let name = &name[..name.find(|c| !is_of_name(c)).unwrap_or(name.len())];
            found.extend((name.len() > prefix.len()).then_some(name));
        }
    }
    found
}

#[test]
fn every_variable_of_the_documents_is_read_and_every_one_that_is_read_is_in_the_documents() {
    let documents =
        texts(&["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "bench/README.md"]);
    let code = texts(&[
        "template.yaml",
        "shared/src",
        "local/src",
        "functions",
        "tests",
        "bench/src",
        "bench/run",
        "fuzz",
        ".ci",
    ]);
    let (documents, code) = (variables(&documents), variables(&code));
    assert!(code.len() > 10, "hardly any was found");
    let unread: Vec<_> = documents.difference(&code).collect();
    assert!(unread.is_empty(), "no code reads {unread:?}");
    let undocumented: Vec<_> = code.difference(&documents).collect();
    assert!(undocumented.is_empty(), "no document has {undocumented:?}");
}

/// The functions read every variable that the template sets.
#[test]
fn every_variable_that_the_template_sets_is_read_by_the_functions() {
    let code = texts(&["shared/src"]);
    let template = texts(&["template.yaml"]);
    let unread: Vec<_> = variables(&template).difference(&variables(&code)).copied().collect();
    assert!(unread.is_empty(), "no function reads {unread:?}");
}

/// The documents say what an idle stack costs, and the template has the same resources.
#[test]
fn the_documents_count_the_metrics_and_secrets_that_an_idle_stack_pays_for() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    // What exists with Events=off and Repair=off.
    let of_events = ["HasEvents", "HasArchive", "HasWebhook", "HasRepair"];
    let is_default = move |resource: &Value| {
        resource["Condition"].as_str().is_none_or(|condition| !of_events.contains(&condition))
    };
    let of_type = |wanted: &'static str| {
        let of_type = move |resource: &Value| resource["Type"] == wanted && is_default(resource);
        resources.iter().filter(move |(_, resource)| of_type(resource))
    };
    let metrics = |alarm: &Value| match alarm["Properties"]["Metrics"].as_array() {
        Some(queries) => queries.iter().filter(|query| query["MetricStat"].is_object()).count(),
        None => 1,
    };
    let all: usize = of_type("AWS::CloudWatch::Alarm").map(|(_, alarm)| metrics(alarm)).sum();
    let nobodys = of_type("AWS::CloudWatch::Alarm")
        .filter(|(_, alarm)| alarm["Condition"].is_null())
        .map(|(_, alarm)| metrics(alarm));
    let nobodys: usize = nobodys.sum();
    // In cents a month.
    let (of_alarms, of_secrets) = (all * 10, of_type("AWS::SecretsManager::Secret").count() * 40);
    let dollars = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let operations = words(&operations());
    for wanted in [
        format!("about {} USD a month", dollars(of_alarms + of_secrets)),
        format!("{} together; Tencent has two", dollars(of_secrets)),
        format!("the {all} metrics that its alarms look at"),
        format!("{} together)", dollars(of_alarms)),
        format!("{nobodys} of the {all} metrics"),
    ] {
        assert!(operations.contains(&wanted), "docs/operations.md does not say {wanted}");
    }
    let performance = words(&fs::read_to_string(root().join("docs/performance.md")).unwrap());
    for wanted in [
        format!("{} $ a month for its", dollars(of_secrets)),
        format!("{} $ for the {all} metrics", dollars(of_alarms)),
    ] {
        assert!(performance.contains(&wanted), "docs/performance.md does not say {wanted}");
    }
}

//! `docs/cloudfront.yaml`, the stack in front of the callbacks, lets genuine ones through unchanged.

use rollcall::routes::{self, CALLBACKS, Caller};
use serde_json::{Value, json};

use crate::template::yaml;

/// Everything in a template that has this name.
fn all<'a>(node: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match node {
        Value::Object(fields) => {
            found.extend(fields.get(name));
            fields.values().for_each(|field| all(field, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

fn named<'a>(node: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    all(node, name, &mut found);
    found
}

#[test]
fn a_callback_passes_cloudfront_with_its_headers_body_and_path() {
    let template = yaml("docs/cloudfront.yaml");
    let config = &template["Resources"]["Distribution"]["Properties"]["DistributionConfig"];
    let behaviour = &config["DefaultCacheBehavior"];
    assert_eq!(
        behaviour["ViewerProtocolPolicy"], "https-only",
        "OpenIM follows redirects with GET"
    );
    assert!(behaviour["AllowedMethods"].as_array().unwrap().contains(&json!("POST")));
    // AWS's own policies CachingDisabled and AllViewerExceptHostHeader.
    assert_eq!(behaviour["CachePolicyId"], "4135ea2d-6df8-44a3-9df3-4b5a84be39ad");
    assert_eq!(behaviour["OriginRequestPolicyId"], "b689b0a8-53d0-40ab-baf2-38738e2966ac");
    let origin = &config["Origins"][0]["CustomOriginConfig"];
    assert_eq!(origin["OriginProtocolPolicy"], "https-only");
    assert!(origin["OriginReadTimeout"].as_u64().unwrap() >= 4, "a function may take as long");
}

/// Paths have keys in them, and query strings signatures.
#[test]
fn promise_8_discreet_nothing_in_front_logs_a_path() {
    let template = yaml("docs/cloudfront.yaml");
    assert!(named(&template, "Logging").is_empty());
    let sampled = named(&template, "SampledRequestsEnabled");
    assert_eq!(sampled, vec![&json!(false); named(&template, "VisibilityConfig").len()]);
    assert!(!template.to_string().contains("LoggingConfiguration"));
}

#[test]
fn the_firewall_refuses_what_is_no_callback_and_reads_no_body() {
    let template = yaml("docs/cloudfront.yaml");
    let rules = &template["Resources"]["WebAcl"]["Properties"]["Rules"];
    assert!(named(rules, "ManagedRuleGroupStatement").is_empty(), "those read bodies");
    let read: Vec<String> =
        named(rules, "FieldToMatch").into_iter().map(ToString::to_string).collect();
    assert_eq!(read[0], r#"{"Method":{}}"#);
    assert!(read[1..].iter().all(|field| field == r#"{"UriPath":{}}"#), "{read:?}");
    let matches = named(rules, "ByteMatchStatement");
    let beginnings: Vec<&str> = matches
        .iter()
        .filter(|statement| statement["PositionalConstraint"] == "STARTS_WITH")
        .map(|statement| statement["SearchString"].as_str().unwrap())
        .collect();
    let passes = |path: &str| beginnings.iter().any(|beginning| path.starts_with(beginning));
    for path in CALLBACKS.iter().flat_map(|names| names.paths) {
        assert!(passes(path), "{path}");
    }
    // What a backend asks is signed for the API's own name, and goes there.
    let asked = routes::all().filter(|route| route.caller == Caller::Backend);
    for route in asked.filter(|route| route.path.contains("{provider}")) {
        assert!(!passes(route.path), "{}", route.path);
    }
}

//! The invariants of `docs/design.md`, by a look at the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every Rust file below a folder, or the one file, by its path in the project, without its tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    let path = root().join(folder);
    if path.is_dir() {
        walk(&path, &mut files);
    } else {
        files.push(path);
    }
    assert!(!files.is_empty(), "{folder} has no sources");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), code)
    };
    files.into_iter().map(read).collect()
}

/// The modules of the crate that a source names in `crate::module` or `crate::{module, ...}`.
fn modules_of(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if rest.starts_with('{') {
            let (mut depth, mut start) = (0, 1);
            for (index, character) in rest.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => start = index + 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && rest[index..].starts_with("::") {
                    modules.push(rest[start..index].trim().to_owned());
                    start = index;
                }
            }
        } else {
            modules.extend(rest.split("::").next().map(str::to_owned));
        }
    }
    modules.retain(|module| module.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    modules
}

#[test]
fn the_scan_sees_what_a_source_names() {
    let code = "use crate::{a::{B, c::D}, e::F};\nuse crate::g::H;\nfn i() { crate::j::k() }";
    assert_eq!(modules_of(code), ["a", "e", "g", "j"]);
}

#[test]
fn every_module_names_only_what_it_may_know() {
    let may_know: [(&str, &[&str]); 9] = [
        ("shared/src/domain", &[]),
        ("shared/src/callback", &["domain"]),
        ("shared/src/providers", &["callback", "domain"]),
        ("shared/src/aws", &[]),
        ("shared/src/apps", &["aws", "config", "domain"]),
        ("shared/src/store", &["aws", "domain"]),
        ("shared/src/spill", &["aws", "domain"]),
        ("shared/src/replay.rs", &["domain", "metrics", "spill", "store"]),
        ("shared/src/user_sig", &["apps", "callback", "config", "domain", "query"]),
    ];
    for (folder, allowed) in may_know {
        for (file, code) in sources(folder) {
            for module in modules_of(&code) {
                assert!(allowed.contains(&module.as_str()), "{file} names {module}");
            }
        }
    }
}

#[test]
fn each_service_lambda_and_the_environment_are_named_in_one_place() {
    let places = [
        ("aws_sdk_dynamodb", "shared/src/store/"),
        ("aws_sdk_secretsmanager", "shared/src/apps/secrets_manager.rs"),
        ("aws_sdk_sqs", "shared/src/spill/"),
        ("lambda_http", "shared/src/runtime.rs"),
        ("SystemTime::now", "shared/src/runtime.rs"),
    ];
    for (file, code) in sources("shared/src") {
        for (name, place) in places {
            let found = code
                .lines()
                .any(|line| line.contains(name) && !line.trim_start().starts_with("//"));
            assert!(!found || file.starts_with(place), "{file} names {name}");
        }
        let reads_environment = code.contains("std::env") || code.contains("env::var");
        let may = ["shared/src/runtime.rs", "shared/src/config.rs", "shared/src/aws/mod.rs"];
        assert!(!reads_environment || may.contains(&file.as_str()), "{file} reads the environment");
    }
}

/// Promise 1: one constant-time function does every comparison of secrets.
#[test]
fn promise_1_authentic_secrets_are_compared_in_one_place() {
    for (file, code) in sources("shared/src") {
        if file.ends_with("/tests.rs") {
            continue;
        }
        let compares = code.contains("ct_eq") || code.contains("ConstantTimeEq");
        assert!(!compares || file == "shared/src/callback/secret.rs", "{file} compares by itself");
        let code: Vec<&str> = code.lines().filter(|line| !line.trim().starts_with("//")).collect();
        // Statements, so that a comparison that is broken into lines is seen as one.
        for statement in code.join(" ").split([';', '{', '}']) {
            assert!(!compares_a_secret(statement), "{file} compares a secret: {statement}");
        }
    }
}

/// Whether a statement compares what is named like a secret or like what is made from one. `Secret`
/// itself cannot be compared: it implements no `PartialEq`, as its documentation's test shows.
fn compares_a_secret(statement: &str) -> bool {
    const COMPARE: [&str; 9] = [
        "==",
        "!=",
        ".eq(",
        ".ne(",
        ".cmp(",
        ".contains(",
        ".starts_with(",
        ".ends_with(",
        ".eq_ignore_ascii_case(",
    ];
    const PARTS: [&str; 5] = ["secret", "signature", "password", "token", "expose"];
    const WHOLE: [&str; 7] = ["sig", "sign", "sigs", "sign_sent", "user_pass", "ticket", "hmac"];
    let compares = COMPARE.iter().any(|operator| statement.contains(operator));
    let mut names = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    compares
        && names.any(|name| {
            // A constant or a type is a name for one, and holds none.
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && (PARTS.iter().any(|part| name.contains(part)) || WHOLE.contains(&name))
        })
}

#[test]
fn the_scan_sees_comparisons_of_secrets() {
    for statement in [
        "if signature == expected",
        "if expected != signature_sent",
        "secrets.iter().any(|secret| sign(secret, time) == given)",
        "let is_known = tokens.contains(&given)",
        "key.expose().as_bytes().eq(given)",
        "password.starts_with(given)",
        "if payload.sig == given",
        "let known = basic.user_pass()     == given",
    ] {
        assert!(compares_a_secret(statement), "{statement}");
    }
    for statement in
        ["if app != asked.app", "Need::Some => between(a, b) >= OVERDUE", "let sig = 1"]
    {
        assert!(!compares_a_secret(statement), "{statement}");
    }
}

#[test]
fn nothing_scans_the_table() {
    for (file, code) in sources("shared/src") {
        assert!(!code.contains(".scan()"), "{file} scans");
    }
}

/// A callback cannot query and a query cannot write, as in the policies of their functions. Both get an item.
#[test]
fn the_writer_asks_nothing_and_the_reader_changes_nothing() {
    let writes = [".put_item()", ".update_item()", ".delete_item()", ".batch_write_item()"];
    let reads = [".query()", ".batch_get_item()"];
    let sent = |code: &str, calls: &[&str]| calls.iter().any(|call| code.contains(call));
    for (file, code) in sources("shared/src/store") {
        assert!(!sent(&code, &writes) || file.contains("/store/write/"), "{file} writes");
        assert!(!sent(&code, &reads) || file.contains("/store/read/"), "{file} reads");
        let gets = code.contains(".get_item()");
        assert!(!gets || file == "shared/src/store/table.rs", "{file} gets an item by itself");
    }
}

#[test]
fn a_functions_main_holds_no_logic() {
    for (file, code) in sources("functions") {
        let lines = code.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!"));
        assert!(lines.count() <= 3, "{file} is more than a call");
    }
}

/// Whoever builds with the oldest Rust that the manifest promises builds what CI has tested: it is
/// the one that CI uses.
#[test]
fn the_oldest_rust_that_is_promised_is_the_one_that_is_tested() {
    let read = |file: &str| -> toml::Table {
        fs::read_to_string(root().join(file)).unwrap().parse().unwrap()
    };
    let promised = read("Cargo.toml")["workspace"]["package"]["rust-version"].clone();
    let tested = read("rust-toolchain.toml")["toolchain"]["channel"].clone();
    assert_eq!(format!("{}.0", promised.as_str().unwrap()), tested.as_str().unwrap());
    for folder in ["functions", "local", "shared", "tests"] {
        let members = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for member in members.chain([root().join(folder)]) {
            let Ok(manifest) = fs::read_to_string(member.join("Cargo.toml")) else { continue };
            let manifest: toml::Table = manifest.parse().unwrap();
            let inherited = manifest["package"]["rust-version"]["workspace"].as_bool();
            assert_eq!(inherited, Some(true), "{}", member.display());
        }
    }
}

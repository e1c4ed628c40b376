//! The invariants of `docs/design.md`, checked by a scan of the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
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
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), code)
    };
    files.into_iter().map(read).collect()
}

/// The front page of the shared crate: each module with the modules that it may name, lowest first.
fn map() -> Vec<(String, BTreeSet<String>)> {
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let page = fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! |")).skip(2);
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').collect();
        (quoted(cells[0]).pop_first().unwrap(), quoted(cells[2]))
    };
    rows.map(row).collect()
}

#[test]
fn the_map_of_the_modules_is_true_of_every_module() {
    let map = map();
    let page = fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let declared: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let listed: BTreeSet<&str> = map.iter().map(|(module, _)| module.as_str()).collect();
    assert_eq!(listed, declared, "the table has every module");
    assert_eq!(map.len(), declared.len(), "the table has every module once");

    let modules = Modules::of("shared/src");
    let mut lower = BTreeSet::new();
    for (module, may_name) in map {
        assert!(
            may_name.is_subset(&lower),
            "{module} names a module that comes later in the table"
        );
        let named: BTreeSet<String> = modules
            .named
            .iter()
            .filter(|(from, _)| from.first() == Some(&module))
            .filter_map(|(_, to)| to.first().cloned())
            .filter(|to| *to != module)
            .collect();
        assert_eq!(named, may_name, "the modules that {module} uses, and those in the table");
        lower.insert(module);
    }
}

#[test]
fn no_modules_name_each_other_in_a_circle() {
    for folder in ["shared/src", "local/src", "tests/players/src", "bench/src", "bench/scale/src"] {
        let circles = Modules::of(folder).circles();
        assert!(circles.is_empty(), "{folder}: {circles:?}");
    }
}

/// The path of a module or of what is in it, from the root of its crate.
type Names = Vec<String>;

/// The modules of a crate, and which of them use which.
struct Modules {
    /// Each pair once: the module that uses, and the one that is used.
    named: BTreeSet<(Names, Names)>,
}

impl Modules {
    fn of(folder: &str) -> Self {
        let sources: BTreeMap<Names, String> = sources(folder)
            .into_iter()
            .filter(|(file, _)| !file.ends_with("/tests.rs"))
            .map(|(file, code)| {
                let path = file.strip_prefix(folder).unwrap().strip_suffix(".rs").unwrap();
                let names =
                    path.split('/').filter(|name| !["", "mod", "lib", "main"].contains(name));
                (names.map(str::to_owned).collect(), code)
            })
            .collect();
        Self::in_sources(&sources)
    }

    fn in_sources(sources: &BTreeMap<Names, String>) -> Self {
        // The imports of a module, by their names there.
        let mut brought: BTreeMap<(Names, String), Names> = BTreeMap::new();
        for (module, code) in sources {
            for (start, _) in code.match_indices("use ") {
                let is_statement =
                    code[..start].chars().next_back().is_none_or(char::is_whitespace);
                for path in is_statement.then(|| paths(&code[start + 4..])).into_iter().flatten() {
                    let Some(name) = path.name.or(path.names.last().cloned()) else { continue };
                    let target = match path.names[0].as_str() {
                        "crate" | "super" | "self" => absolute(module, &path.names),
                        _ => [module.as_slice(), &path.names].concat(),
                    };
                    brought.insert((module.clone(), name), target);
                }
            }
        }
        // The target of a path: through imports to the module that defines it.
        let resolve = |path: &[String]| {
            let (mut at, mut rest) = (Names::new(), path.to_vec());
            for _ in 0..32 {
                let Some(name) = rest.first().cloned() else { break };
                let child = [at.as_slice(), std::slice::from_ref(&name)].concat();
                if sources.contains_key(&child) {
                    at = child;
                    rest.remove(0);
                } else if let Some(target) =
                    brought.get(&(at.clone(), name)).filter(|target| **target != child)
                {
                    rest.remove(0);
                    rest.splice(0..0, target.clone());
                    at = Names::new();
                } else {
                    break;
                }
            }
            at
        };
        let mut named = BTreeSet::new();
        for (module, code) in sources {
            let code: Vec<&str> =
                code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code = code.join("\n");
            for start in ["crate::", "super::", "self::"] {
                for (at, _) in code.match_indices(start) {
                    // Not in the middle of a path: `super::super::`.
                    let is_first = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':');
                    for path in is_first.then(|| paths(&code[at..])).into_iter().flatten() {
                        named.insert((module.clone(), resolve(&absolute(module, &path.names))));
                    }
                }
            }
        }
        Self { named }
    }

    /// The circles among sibling modules, as the names of their members.
    fn circles(&self) -> BTreeSet<Names> {
        let mut beside: BTreeMap<(Names, String), BTreeSet<String>> = BTreeMap::new();
        for (from, to) in &self.named {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                let names = beside.entry((from[..common].to_vec(), a.clone())).or_default();
                names.insert(b.clone());
            }
        }
        let mut circles = BTreeSet::new();
        for (parent, start) in beside.keys() {
            let mut reached = BTreeSet::new();
            let mut next = vec![start.clone()];
            while let Some(module) = next.pop() {
                for named in beside.get(&(parent.clone(), module)).into_iter().flatten() {
                    if reached.insert(named.clone()) {
                        next.push(named.clone());
                    }
                }
            }
            if reached.contains(start) {
                circles.insert([parent.as_slice(), std::slice::from_ref(start)].concat());
            }
        }
        circles
    }
}

/// A path in a source, and its name after `as`.
struct NamedPath {
    names: Names,
    name: Option<String>,
}

/// The paths at the beginning of some code: one, or several if braces follow.
fn paths(code: &str) -> Vec<NamedPath> {
    fn read(code: &mut &str, before: &[String], paths: &mut Vec<NamedPath>) {
        let mut names = before.to_vec();
        loop {
            *code = code.trim_start();
            if let Some(rest) = code.strip_prefix('{') {
                *code = rest;
                loop {
                    read(code, &names, paths);
                    *code = code.trim_start();
                    let Some(rest) = code.strip_prefix(',') else { break };
                    *code = rest;
                }
                *code = code.strip_prefix('}').unwrap_or(code);
                return;
            }
            let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
            let (name, rest) = code.split_at(end);
            if !name.is_empty() && (name != "self" || names.is_empty()) {
                names.push(name.to_owned());
            }
            *code = rest;
            let Some(rest) = code.strip_prefix("::") else { break };
            *code = rest;
        }
        let alias = code.strip_prefix(" as ").map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            *code = &rest[end..];
            rest[..end].to_owned()
        });
        if !names.is_empty() {
            paths.push(NamedPath { names, name: alias });
        }
    }
    let (mut code, mut paths) = (code, Vec::new());
    read(&mut code, &[], &mut paths);
    paths
}

/// A path that begins with `crate`, `super` or `self` in a module, from the root of the crate.
fn absolute(module: &[String], path: &[String]) -> Names {
    let mut base = module.to_vec();
    let mut rest = path;
    while let Some((name, after)) = rest.split_first() {
        match name.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = after;
    }
    base.extend_from_slice(rest);
    base
}

#[test]
fn the_scan_sees_what_a_source_names() {
    let files = [
        ("", "pub mod a; pub mod g;"),
        ("a", "mod b; mod c;\npub use self::b::{B, Other as D};\nuse crate::{g::{H, i::J}, l};"),
        ("a::b", "use super::c;\nfn f() { c::f(); crate::g::k() }\n// crate::nowhere::at::all"),
        ("a::c", "use super::{\n    D,\n    E,\n};"),
        ("g", "use crate::a::B;"),
    ];
    let split = |path: &str| -> Names {
        path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let sources = files.map(|(module, code)| (split(module), code.to_owned())).into();
    let modules = Modules::in_sources(&sources);
    let found: BTreeSet<(String, String)> =
        modules.named.iter().map(|(from, to)| (from.join("::"), to.join("::"))).collect();
    let expected = [
        ("a", ""),
        ("a", "a::b"),
        ("a", "g"),
        ("a::b", "a::c"),
        ("a::b", "g"),
        ("a::c", "a"),
        ("a::c", "a::b"),
        ("g", "a::b"),
    ];
    assert_eq!(found, expected.map(|(from, to)| (from.to_owned(), to.to_owned())).into());
    let circles: Vec<String> = modules.circles().iter().map(|names| names.join("::")).collect();
    assert_eq!(circles, ["a", "a::b", "a::c", "g"]);
}

/// What the players work out does not come from the code that it is compared with.
#[test]
fn the_players_name_none_of_rollcalls_rules() {
    let named: BTreeSet<String> = sources("tests/players/src")
        .into_values()
        .flat_map(|code| {
            let code: Vec<&str> =
                code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code = code.join("\n");
            let starts = code.match_indices("rollcall::");
            let named: Vec<NamedPath> = starts.flat_map(|(at, _)| paths(&code[at..])).collect();
            named
        })
        // A comma at the end of a list is followed by nothing.
        .filter(|path| path.names.len() > 1)
        .map(|path| path.names[1..].join("::"))
        .collect();
    let may_name = [
        "callback::Routed",
        "callback::Secret",
        "domain::UnixMillis",
        "domain::UnixSeconds",
        "endpoint::Endpoint",
        "http::Reply",
        "providers::openim::Any",
        "providers::openim::AppCredentials",
        "providers::openim::UserOffline",
        "providers::openim::UserOnline",
        "providers::openim::UserRegister",
        "providers::openim::UserUpdate",
        "providers::tencent::ChatState",
        "providers::tencent::RoomEvent",
        "providers::tencent::TrtcEvent",
        "providers::tencent::sign_chat",
        "providers::tencent::sign_trtc",
        "providers::zego::RoomClose",
        "providers::zego::RoomCreate",
        "providers::zego::RoomEvent",
        "providers::zego::RoomLogin",
        "providers::zego::RoomLogout",
        "providers::zego::UserAction",
        "providers::zego::sign",
        "routes::PATH_KEY",
        "runtime",
    ];
    assert_eq!(named, may_name.map(str::to_owned).into(), "names, times, secrets, signatures");
}

#[test]
fn each_service_lambda_and_the_environment_are_named_in_one_place() {
    let places = [
        ("aws_sdk_dynamodb", "shared/src/store/"),
        ("aws_sdk_eventbridge", "shared/src/relay/event_bus.rs"),
        ("aws_sdk_secretsmanager", "shared/src/apps/secrets_manager.rs"),
        ("aws_sdk_sqs", "shared/src/queue/"),
        ("lambda_http", "shared/src/runtime/"),
        ("SystemTime::now", "shared/src/runtime/mod.rs"),
    ];
    for (file, code) in sources("shared/src") {
        for (name, place) in places {
            let found = code
                .lines()
                .any(|line| line.contains(name) && !line.trim_start().starts_with("//"));
            assert!(!found || file.starts_with(place), "{file} names {name}");
        }
        let reads_environment = code.contains("std::env") || code.contains("env::var");
        let may = ["shared/src/runtime/", "shared/src/config.rs", "shared/src/aws/mod.rs"];
        // A test of its own, in no binary.
        let is_test = file == "shared/src/openapi.rs";
        let may = is_test || may.iter().any(|place| file.starts_with(place));
        assert!(!reads_environment || may, "{file} reads the environment");
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
        assert!(
            !compares || file == "shared/src/callback/secret.rs",
            "{file} has its own comparison"
        );
        let code: Vec<&str> = code.lines().filter(|line| !line.trim().starts_with("//")).collect();
        // Statements, so that a comparison over several lines is found.
        for statement in code.join(" ").split([';', '{', '}']) {
            assert!(!compares_a_secret(statement), "{file} compares a secret: {statement}");
        }
    }
}

/// Whether a statement compares something with the name of a secret, or of a value made from one.
/// `Secret` itself cannot be compared: it does not implement `PartialEq`, as its doc test shows.
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
            // A constant or a type has such a name, but is not a secret.
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
        ["if app != expected.app", "Need::Usable => between(a, b) >= OVERDUE", "let sig = 1"]
    {
        assert!(!compares_a_secret(statement), "{statement}");
    }
}

/// What differs between providers is in their folders, and one match chooses among these.
#[test]
fn one_match_names_the_providers_and_nothing_outside_their_folders_does() {
    let named = |code: &str| {
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let providers = ["ProviderName::Zego", "ProviderName::OpenIm", "ProviderName::Tencent"];
        code.map(|line| providers.iter().filter(|name| line.contains(**name)).count()).sum()
    };
    let folders = ["zego", "openim", "tencent"].map(|name| format!("shared/src/providers/{name}/"));
    for (file, code) in ["shared/src", "local/src", "functions"].into_iter().flat_map(sources) {
        let is_folder = folders.iter().any(|folder| file.starts_with(folder));
        let may = if file == "shared/src/providers/mod.rs" { 3 } else { 0 };
        let found: usize = named(&code);
        assert!(is_folder || found == may, "{file} names providers {found} times");
    }
}

/// A rule need not name its provider to be one. What a role, a reason, the kind of a mark or a
/// provider's own number means is such a rule, so nothing between a provider and an answer asks.
/// The modules that all providers share do not name them, in comments either. Only the docs of an
/// answer's fields may: they are its description in `openapi.yaml`.
///
/// `relay` is not among them: it gives each kind of mark the name of an event, which is the same for
/// all providers, and asks the rules for all else.
#[test]
fn what_a_mark_means_is_asked_in_the_providers_folders_only() {
    let shared = ["store", "record", "query", "handler.rs", "replay.rs", "spill"];
    let meanings = ["Kind::", "LeaveReason::", "Role(", ".sequence", ".reason ", ".roles."];
    // `PersonKind::` is another name.
    let names_it = |line: &str, meaning: &str| {
        let is_within = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric());
        // `.sequence_number` is the stream's.
        let goes_on = |at: usize| line[at + meaning.len()..].starts_with('_');
        let mut places = line.match_indices(meaning).map(|(at, _)| at);
        places.any(|at| !goes_on(at) && (meaning.starts_with('.') || !is_within(at)))
    };
    let names = ["zego", "openim", "trtc", "tencent", "chat"];
    for (file, code) in
        shared.map(|name| format!("shared/src/{name}")).iter().flat_map(|f| sources(f))
    {
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            let found = meanings.iter().find(|meaning| names_it(line, meaning));
            assert!(found.is_none(), "{file} asks what a mark means: {line}");
        }
        let is_description =
            |line: &&str| file.contains("/query/") && line.trim_start().starts_with("///");
        let others: Vec<&str> = code.lines().filter(|line| !is_description(line)).collect();
        let lower = others.join("\n").to_ascii_lowercase();
        let words: BTreeSet<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let found = names.iter().find(|name| words.contains(**name));
        assert!(found.is_none(), "{file} names {found:?}");
    }
    // The rules of one provider are not passed on as if they were everyone's.
    let (_, providers) = sources("shared/src/providers/mod.rs").pop_first().unwrap();
    for name in names {
        assert!(!providers.contains(&format!("pub use {name}")), "{name} is taken for all");
    }
}

#[test]
fn nothing_scans_the_table() {
    for (file, code) in sources("shared/src") {
        // For an operator, and no function: their policies do not allow it.
        assert!(!code.contains(".scan()") || file == "shared/src/store/scan.rs", "{file} scans");
    }
}

/// A callback cannot query and a query cannot write, as in the policies of their functions. Both
/// get an item.
#[test]
fn the_writer_never_queries_and_the_reader_never_writes() {
    let writes = [".put_item()", ".update_item()", ".delete_item()", ".batch_write_item()"];
    let reads = [".query()", ".batch_get_item()"];
    let sent = |code: &str, calls: &[&str]| calls.iter().any(|call| code.contains(call));
    for (file, code) in sources("shared/src/store") {
        assert!(!sent(&code, &writes) || file.contains("/store/write/"), "{file} writes");
        assert!(!sent(&code, &reads) || file.contains("/store/read/"), "{file} reads");
        let gets = code.contains(".get_item()");
        assert!(!gets || file == "shared/src/store/table.rs", "{file} has its own `GetItem`");
    }
}

/// What asks the providers is linked by those who ask, and by nobody who receives callbacks.
#[test]
fn only_who_asks_the_providers_links_their_server_apis() {
    let read = |path: &Path| -> toml::Table { fs::read_to_string(path).unwrap().parse().unwrap() };
    let workspace = read(&root().join("Cargo.toml"));
    let shared = &workspace["workspace"]["dependencies"]["rollcall"];
    assert_eq!(shared["default-features"].as_bool(), Some(false));
    for function in fs::read_dir(root().join("functions")).unwrap() {
        let path = function.unwrap().path();
        let rollcall = &read(&path.join("Cargo.toml"))["dependencies"]["rollcall"];
        let asks = rollcall.get("features").is_some();
        assert_eq!(asks, path.ends_with("reconcile"), "{}", path.display());
    }
}

#[test]
fn a_functions_main_holds_no_logic() {
    for (file, code) in sources("functions") {
        let lines = code.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!"));
        assert!(lines.count() <= 3, "{file} is more than a call");
    }
}

/// CI uses the oldest Rust that the manifest promises, so a build with it is tested.
#[test]
fn the_oldest_rust_that_is_promised_is_the_one_that_is_tested() {
    let read = |file: &str| -> toml::Table {
        fs::read_to_string(root().join(file)).unwrap().parse().unwrap()
    };
    let promised = read("Cargo.toml")["workspace"]["package"]["rust-version"].clone();
    let tested = read("rust-toolchain.toml")["toolchain"]["channel"].clone();
    assert_eq!(format!("{}.0", promised.as_str().unwrap()), tested.as_str().unwrap());
    for folder in ["functions", "local", "shared", "tests", "tests/players"] {
        let members = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for member in members.chain([root().join(folder)]) {
            let Ok(manifest) = fs::read_to_string(member.join("Cargo.toml")) else { continue };
            let manifest: toml::Table = manifest.parse().unwrap();
            let inherited = manifest["package"]["rust-version"]["workspace"].as_bool();
            assert_eq!(inherited, Some(true), "{}", member.display());
        }
    }
}

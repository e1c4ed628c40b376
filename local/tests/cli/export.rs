//! `export`: interrupted at any place and continued, it writes the bytes of one that was not.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{
    PATIENCE, output, rollcall,
    stub::{Asked, Stub, csv, error, json as answer},
};

const HEADER: &str = "user,name,room\r\n";

/// Rows with all that CSV has to protect.
fn rows() -> Vec<String> {
    let names =
        ["Ada", "\"Lovelace, Ada\"", "\"two\r\nlines \"\"quoted\"\"\"", "🎓", "'=1+1", "\"\n\""];
    (0..2345).map(|n| format!("u{n},{},lobby\r\n", names[n % names.len()])).collect()
}

fn whole() -> String {
    [HEADER.to_owned(), rows().concat()].concat()
}

/// A Rollcall that refuses all requests from this one on, while it is not `usize::MAX`.
async fn faulty() -> (Stub, Arc<AtomicUsize>) {
    let refused_from = Arc::new(AtomicUsize::new(usize::MAX));
    let from = Arc::clone(&refused_from);
    let rows = rows();
    let answer = move |asked: &Asked| {
        if asked.number >= from.load(Ordering::Relaxed) {
            return error(503, "unavailable", "the records cannot be read just now");
        }
        csv(asked, HEADER, &rows)
    };
    (Stub::start(answer).await, refused_from)
}

async fn run(folder: &Path, url: &str, args: &str) -> (Option<i32>, String, String) {
    read(output(rollcall(folder).arg("export").args(args.split(' ')).args(["--url", url])).await)
}

fn read(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The command that an interrupted export prints.
fn printed(stderr: &str) -> String {
    stderr
        .lines()
        .find_map(|line| line.strip_prefix("  "))
        .unwrap_or_else(|| panic!("{stderr}"))
        .to_owned()
}

async fn shell(folder: &Path, command: &str) -> (Option<i32>, String, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).env_remove("ROLLCALL_APPS");
    read(output(shell.kill_on_drop(true)).await)
}

#[tokio::test]
async fn an_export_that_failed_at_any_page_continues_as_if_it_had_not() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (stub, refused_from) = faulty().await;
    let (code, all, said) = run(folder, &stub.url, "attendance --room lobby --page 500").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(all, whole());
    assert!(said.ends_with("rollcall: 2,345 rows\n"), "{said}");
    assert_eq!(stub.asked().len(), 5);

    for pages in 0..5 {
        refused_from.store(stub.asked().len() + pages, Ordering::Relaxed);
        let args = "attendance --room lobby --page 500 --retries 0";
        let (code, begun, said) = run(folder, &stub.url, args).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("503 the records cannot be read just now"), "{said}");
        assert_eq!(begun.is_empty(), pages == 0);
        fs::write(folder.join("rows.csv"), begun).unwrap();
        // It fails again before it makes progress, and once more.
        let (code, none, said) = shell(folder, printed(&said).split(" >>").next().unwrap()).await;
        assert_eq!((code, none.as_str()), (Some(1), ""), "{said}");
        refused_from.store(usize::MAX, Ordering::Relaxed);
        let (code, _, said) = shell(folder, &printed(&said).replace("FILE", "rows.csv")).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(fs::read_to_string(folder.join("rows.csv")).unwrap(), whole(), "{pages} pages");
    }
}

#[tokio::test]
async fn a_file_that_was_killed_at_any_page_is_continued() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (stub, refused_from) = faulty().await;
    let args = "attendance --room lobby --page 500 --output rows.csv";
    let part = folder.join("rows.csv.part");
    for pages in 0..5 {
        refused_from.store(stub.asked().len() + pages, Ordering::Relaxed);
        let mut export = rollcall(folder);
        export.arg("export").args(args.split(' ')).args(["--url", &stub.url]);
        export.stdout(Stdio::null()).stderr(Stdio::null());
        let mut export = export.spawn().unwrap();
        // It waits to ask again.
        let refused = stub.asked().len() + pages;
        let waits = async {
            while stub.asked().len() <= refused {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waits).await.unwrap();
        export.kill().await.unwrap();
        assert!(!folder.join("rows.csv").exists(), "a file that has its name is whole");

        // As if the page had been written, and not yet the state after it.
        let torn = [fs::read(&part).unwrap(), b"u7,\"torn".to_vec()].concat();
        if pages > 0 {
            fs::write(&part, torn).unwrap();
        }
        let before = fs::read(&part).unwrap();
        let (code, _, said) = run(folder, &stub.url, args).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("add --resume to continue it, or delete it"), "{said}");
        let other = args.replace("lobby", "hall") + " --resume";
        if pages > 0 {
            let (code, _, said) = run(folder, &stub.url, &other).await;
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("another export"), "{said}");
        }
        assert_eq!(fs::read(&part).unwrap(), before);

        refused_from.store(usize::MAX, Ordering::Relaxed);
        let (code, out, said) = run(folder, &stub.url, &format!("{args} --resume")).await;
        assert_eq!((code, out.as_str()), (Some(0), ""), "{said}");
        assert_eq!(fs::read_to_string(folder.join("rows.csv")).unwrap(), whole(), "{pages} pages");
        let left = fs::read_dir(folder).unwrap().count();
        assert_eq!(left, 1, "nothing else is left");
        fs::remove_file(folder.join("rows.csv")).unwrap();
    }
    let (code, _, said) = run(folder, &stub.url, &format!("{args} --resume")).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("there is nothing to continue"), "{said}");
}

#[tokio::test]
async fn ctrl_c_says_how_to_continue() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (stub, refused_from) = faulty().await;
    refused_from.store(2, Ordering::Relaxed);
    let mut export = rollcall(folder);
    let args = "export registrations --from 2026-11-25 --to 2026-11-26 --page 500";
    export.args(args.split(' ')).args(["--url", &stub.url]);
    let export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = export.id().unwrap().to_string();
    let waits = async {
        while stub.asked().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waits).await.unwrap();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let (code, begun, said) =
        read(timeout(PATIENCE, export.wait_with_output()).await.unwrap().unwrap());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("rollcall: interrupted\nrollcall: 1,000 rows are written"), "{said}");
    refused_from.store(usize::MAX, Ordering::Relaxed);
    let (code, rest, _) = shell(folder, printed(&said).split(" >>").next().unwrap()).await;
    assert_eq!(code, Some(0));
    assert_eq!(begun + &rest, whole());
    // A day with all of it.
    let span = "from=1795564800000&to=1795737599999";
    assert!(stub.asked().iter().all(|asked| asked.contains(span)), "{:?}", stub.asked());
}

#[tokio::test]
async fn reports_of_several_rooms_name_their_room() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let header = "user,present_ms\r\n";
    let stub = Stub::start(move |asked| match asked.get("room") {
        "nowhere" => error(404, "not_found", "this room is not known"),
        "busy" if asked.number == 0 => error(429, "", "Too Many Requests"),
        "new" => csv(asked, "user,visits\r\n", &[]),
        "old" => answer(&serde_json::json!({ "rows": [] })),
        _ => csv(asked, header, &["ada,1\r\n".to_owned(), "bob,2\r\n".to_owned()]),
    })
    .await;
    let args = "reports --room busy --room nowhere --room a,b --page 1 --output rows.csv";
    let (code, _, said) = run(folder, &stub.url, args).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("rollcall: room nowhere is not known in zego app 1\n"), "{said}");
    let expected =
        "room,user,present_ms\r\nbusy,ada,1\r\nbusy,bob,2\r\n\"a,b\",ada,1\r\n\"a,b\",bob,2\r\n";
    assert_eq!(fs::read_to_string(folder.join("rows.csv")).unwrap(), expected);

    for (args, status, says) in [
        ("reports --room old --output old.csv", 1, "is not CSV"),
        ("reports --room busy --room new", 1, "the columns are no longer those"),
        ("reports --room old", 1, "is not CSV"),
        ("reports --room nowhere --output none.csv", 3, "room nowhere is not known"),
        ("reports --room a --user b", 2, "cannot be used with"),
        ("reports", 2, "required"),
        ("attendance --room a --resume nonsense", 1, "--resume needs the word"),
    ] {
        let (code, _, said) = run(folder, &stub.url, args).await;
        assert_eq!(code, Some(status), "{args}: {said}");
        assert!(said.contains(says), "{args}: {said}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing of the others is left");
}

//! Builds what is measured.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::DeflateEncoder};

use crate::{
    Failure,
    names::{FUNCTIONS, NATIVE_PEERS},
};

/// What a ZIP file adds to its one entry, `bootstrap`: local header, central directory, its end.
const ZIP_FRAME: u64 = 30 + 46 + 22 + 2 * "bootstrap".len() as u64;

/// What was built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// By name.
    pub(crate) binaries: BTreeMap<String, PathBuf>,
    /// The local program.
    pub(crate) gateway: Option<PathBuf>,
    /// The interpreter, and the folder with the handler.
    pub(crate) python: Option<(PathBuf, PathBuf)>,
    /// The interpreter, and the folder with the handler.
    pub(crate) node: Option<(PathBuf, PathBuf)>,
    /// Why something is missing.
    pub(crate) missing: Vec<String>,
}

/// Which binaries are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binaries {
    /// Build them from the current sources.
    New,
    /// Use the existing ones.
    AsTheyAre,
}

/// Builds everything, or what `wanted` names.
pub(crate) fn build(binaries: Binaries, wanted: &dyn Fn(&str) -> bool) -> Result<Built, Failure> {
    let cargo = |folder: &Path, packages: &[&str]| match binaries {
        Binaries::New => cargo(folder, &[&["--release"], packages].concat()),
        Binaries::AsTheyAre => Ok(()),
    };
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = bench.parent().ok_or("bench has no parent")?;
    let peers = bench.join("peers");
    let mut built = Built::default();

    let functions: Vec<&str> =
        FUNCTIONS.iter().map(|(name, ..)| *name).filter(|name| wanted(name)).collect();
    let packages: Vec<&str> = functions.iter().flat_map(|name| ["-p", *name]).collect();
    // As `sam build` compiles them: without features that the local program or the tests turn on.
    cargo(root, &packages)?;
    for name in functions {
        built.binaries.insert(name.to_owned(), root.join("target/release").join(name));
    }
    for name in NATIVE_PEERS.into_iter().filter(|name| wanted(name)) {
        let folder = peers.join(name);
        cargo(&folder, &[])?;
        built.binaries.insert(name.to_owned(), folder.join("target/release").join(name));
    }
    if wanted("gateway") {
        cargo(root, &["-p", "rollcall-local"])?;
        built.gateway = Some(root.join("target/release/rollcall"));
    }
    if wanted("python") {
        match python(&peers.join("python")) {
            Ok(python) => built.python = Some(python),
            Err(error) => built.missing.push(format!("Python with Powertools: {error}")),
        }
    }
    if wanted("node") {
        match node(&peers.join("node")) {
            Ok(node) => built.node = Some(node),
            Err(error) => built.missing.push(format!("Node.js with Powertools: {error}")),
        }
    }
    Ok(built)
}

/// Builds in a folder with cargo.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet"]).args(arguments).current_dir(folder);
    // Variables of the cargo that runs the bench would make some crates compile again.
    let is_about_a_package =
        |name: &str| ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars().filter(|(name, _)| is_about_a_package(name)) {
        cargo.env_remove(name);
    }
    run(&mut cargo)
}

fn python(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let python = folder.join(".venv/bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(folder))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(pip).arg("requirements.txt").current_dir(folder))?;
    Ok((python, folder.to_owned()))
}

fn node(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let npm = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"];
    run(Command::new("npm").args(npm).current_dir(folder))?;
    Ok(("node".into(), folder.to_owned()))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    eprintln!("$ {command:?}");
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// The size of a file, and of a ZIP file with nothing else in it.
pub(crate) fn sizes(binary: &Path) -> Result<(u64, u64), Failure> {
    let bytes = std::fs::read(binary)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&bytes)?;
    Ok((bytes.len() as u64, encoder.finish()?.len() as u64 + ZIP_FRAME))
}

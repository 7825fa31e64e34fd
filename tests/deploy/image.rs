//! The image: that what its steps name is there, and that the programs run with what it installs.
//!
//! `scripts/image` runs the steps of its last stage in a chroot, which takes minutes and the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{documents, path, program, read, texts};

const PROGRAMS: [&str; 3] = ["full_pipeline", "mock_producer", "api"];
/// Libraries that Debian's smallest system has: of the C library, GCC, and zlib, which dpkg needs.
const BASE: [&str; 6] = ["linux-vdso", "ld-linux", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libz.so.1"];
/// The packages of libraries that the image installs, and what they hold.
const LIBRARIES: [(&str, &[&str]); 1] = [("libssl3", &["libssl.so.3", "libcrypto.so.3"])];

/// A step of the Dockerfile: its first word and the rest, on one line.
struct Step {
    word: String,
    rest: String,
}

/// The stages, each with its steps.
fn stages() -> Vec<Vec<Step>> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let mut stages: Vec<Vec<Step>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "FROM" {
            stages.push(Vec::new());
        }
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        stages.last_mut().unwrap().push(Step { word: word.to_owned(), rest });
    }
    stages
}

/// The only step of a stage that begins with this word, and has that text.
fn step(stage: &[Step], word: &str, having: &str) -> String {
    let found: Vec<_> = stage.iter().filter(|step| step.word == word && step.rest.contains(having)).collect();
    assert_eq!(found.len(), 1, "{word} {having}");
    found[0].rest.clone()
}

/// The packages that a stage installs.
fn packages(stage: &[Step]) -> BTreeSet<String> {
    let run = step(stage, "RUN", "apt-get install");
    let list = run.split("apt-get install").nth(1).unwrap().split("&&").next().unwrap();
    list.split(' ').filter(|word| !word.is_empty() && !word.starts_with('-')).map(ToOwned::to_owned).collect()
}

/// Copies what the build sees: the repository without what the file beside the Dockerfile leaves out.
fn context(to: &Path, without: &str) {
    let ignored = read("deploy/Dockerfile.dockerignore");
    assert_eq!(ignored.lines().next(), Some("*"), "what is not named is left out");
    let folders: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix("**/")).collect();
    for name in ignored.lines().filter_map(|line| line.strip_prefix('!')).filter(|name| *name != without) {
        let from = path(name);
        assert!(from.exists(), "{name} is copied into the image and not there");
        copy(&from, &to.join(name), &folders);
    }
}

fn copy(from: &Path, to: &Path, ignored: &BTreeSet<&str>) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !ignored.contains(name.as_str()) {
            copy(&from.join(&name), &to.join(&name), ignored);
        }
    }
}

/// The names of files that sources below a folder include, from the folder.
fn included(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            included(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for macro_name in ["include_str!(\"", "include_bytes!(\""] {
                let names = text.split(macro_name).skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(|name| path.parent().unwrap().join(name)));
            }
        }
    }
}

#[test]
fn what_the_build_needs_is_copied() {
    let stage = &stages()[0];
    assert_eq!(step(stage, "COPY", ""), ". .");
    let manifests = |folder: &Path| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
        cargo.current_dir(folder).output().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    context(folder.path(), "");
    let output = manifests(folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names = Vec::new();
    for part in ["src", "telemetra-core/src", "telemetra-ops/src", "telemetra-sinks/src", "examples"] {
        included(&folder.path().join(part), &mut names);
    }
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(name.exists(), "{} is compiled in and not copied", name.display());
    }
    // It would say so: members of the workspace are missing.
    let folder = tempfile::tempdir().unwrap();
    context(folder.path(), "examples");
    assert!(!manifests(folder.path()).status.success());
}

#[test]
fn what_is_built_is_installed_and_started() {
    let stages = stages();
    let build = step(&stages[0], "RUN", "cargo build");
    let words: Vec<_> = build.split(' ').collect();
    let after =
        |flag: &str| words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1]).collect::<Vec<_>>();
    assert_eq!(after("--example"), PROGRAMS);
    assert_eq!(after("--features"), ["kafka-tls"], "what the tests are built with");
    let copied = build.split("for program in ").nth(1).unwrap().split(';').next().unwrap();
    assert_eq!(copied.split(' ').collect::<Vec<_>>(), PROGRAMS);
    assert_eq!(step(&stages[1], "COPY", "--from=build"), "--from=build /out/ /usr/local/bin/");

    // The compiler is one that the manifest allows.
    let image = step(&stages[0], "FROM", "rust:");
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let built_by = minor(image.strip_prefix("rust:").unwrap().split('-').next().unwrap());
    assert!(built_by >= minor(env!("CARGO_PKG_RUST_VERSION")), "{image}");
}

#[test]
fn libraries_and_probes_find_what_they_need() {
    let installed = packages(&stages()[1]);
    let mut needed = BTreeSet::new();
    for name in PROGRAMS {
        let ldd = Command::new("ldd").arg(program::build(name)).output().unwrap();
        let text = String::from_utf8(ldd.stdout).unwrap();
        assert!(text.contains("libc.so.6"), "{name}: {text}");
        for library in text.lines().filter_map(|line| line.split_whitespace().next()) {
            let file = library.rsplit('/').next().unwrap();
            if BASE.iter().any(|base| file.starts_with(base)) {
                continue;
            }
            let package = LIBRARIES.iter().find(|(_, holds)| holds.contains(&file));
            let (package, _) =
                package.unwrap_or_else(|| panic!("{name} needs {file}, which is of no package"));
            assert!(installed.contains(*package), "{name} needs {file}, and {package} is not installed");
            needed.insert(*package);
        }
    }
    // Built without TLS the programs need no OpenSSL.
    if cfg!(feature = "kafka-tls") {
        assert_eq!(needed, LIBRARIES.iter().map(|(package, _)| *package).collect());
    }

    // What probes run within a container.
    let mut probes = Vec::new();
    for service in
        super::compose::resolved().1.values().filter(|service| service["image"] == "telemetra:local")
    {
        if service["healthcheck"].is_object() {
            probes.push(texts(&service["healthcheck"]["test"])[1].clone());
        }
    }
    for object in documents("deploy/kubernetes/telemetra.yaml") {
        for container in object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten() {
            let command = &container["readinessProbe"]["exec"]["command"];
            if command.is_array() {
                let words = texts(command);
                assert_eq!(words[..2], ["sh", "-c"]);
                probes.push(words[2].split(' ').next().unwrap().to_owned());
            }
        }
    }
    assert!(probes.len() > 2, "{probes:?}");
    for probe in probes {
        assert!(installed.contains(&probe), "{probe} is not in the image");
    }
}

#[test]
fn the_user_exists_and_the_default_command_runs() {
    let stages = stages();
    let stage = &stages[1];
    let run = step(stage, "RUN", "useradd");
    let useradd = run.split("&&").find(|part| part.contains("useradd")).unwrap().trim();
    let (user, folder) = (step(stage, "USER", ""), step(stage, "WORKDIR", ""));
    assert!(useradd.contains(&format!("--uid {user} ")), "{useradd}");
    assert!(useradd.contains(&format!("--home-dir {folder} --create-home ")), "{useradd}");
    assert_eq!(step(stage, "VOLUME", ""), folder);

    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        // In a folder that stands for the root, of which it needs the lists of users.
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("var/lib")).unwrap();
        for list in ["passwd", "group", "shadow", "gshadow"] {
            fs::write(root.path().join("etc").join(list), "").unwrap();
        }
        let words: Vec<_> = useradd.split_whitespace().collect();
        let prefix = ["--prefix", root.path().to_str().unwrap()];
        let added = Command::new(words[0]).args(prefix).args(&words[1..]).output().unwrap();
        let list = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        let line = list.lines().find(|line| line.starts_with("telemetra:"));
        let line = line.unwrap_or_else(|| panic!("{added:?}"));
        assert!(line.contains(&format!(":{user}:")) && line.contains(&format!(":{folder}:")), "{line}");
    } else {
        eprintln!("without root the user is not made");
    }
    let words: Vec<String> = serde_json::from_str(&step(stage, "CMD", "")).unwrap();
    let mut command = Command::new(program::build(&words[0]));
    if is_root {
        command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs", "--"]);
        command.arg(program::build(&words[0]));
    }
    let output = command.args(&words[1..]).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("Usage: {}", words[0])));
}

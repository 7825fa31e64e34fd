//! The rules of the house that the compiler does not know: who may name whom, how long a file may be, and that links lead
//! somewhere.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of `telemetra-ops` in the order of the flow. A file may name what stands in its own entry and in
/// earlier ones. A file that has no entry of its own has that of its folder.
const FLOW: [&str; 19] = [
    "support",
    // Metrics and what they are measured by are for all; what reads them comes late.
    "observe/metrics",
    "observe/state_size",
    "observe/comparison",
    "observe/spans",
    "observe/traces",
    "observe/checkpoint_gauge",
    "observe/operator_times",
    "spill",
    "checkpoint",
    "cluster",
    "read",
    "operators",
    "testkit",
    "deliver",
    "observe/exporter",
    "observe/status",
    "pipeline",
    // It runs whole pipelines.
    "testkit/world",
];

/// The longest that a source file may be, in lines.
const LONGEST: usize = 420;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder with this extension, without those that are built or hidden, as paths from the root.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{extension} below {folder}: the test looks in the wrong place");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words and signs of Rust code, without comments, strings and characters.
fn tokens(code: &str) -> Vec<String> {
    let chars: Vec<char> = code.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let starts = |index: usize, text: &str| text.chars().enumerate().all(|(n, c)| at(index + n) == c);
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let c = at(i);
        if starts(i, "//") {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if starts(i, "/*") {
            while i < chars.len() && !starts(i, "*/") {
                i += 1;
            }
            i += 2;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == 'r' && (at(i + 1) == '"' || starts(i + 1, "#\"") || starts(i + 1, "##\"")) {
            let hashes = (1..3).take_while(|n| at(i + n) == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            i += hashes + 2;
            while i < chars.len() && !starts(i, &end) {
                i += 1;
            }
            i += end.len();
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += 3;
            while i < chars.len() && at(i - 1) != '\'' {
                i += 1;
            }
        } else if c.is_alphabetic() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            tokens.push(chars[start..i].iter().collect());
        } else {
            let sign = if starts(i, "::") { "::".to_owned() } else { c.to_string() };
            i += sign.chars().count();
            if !sign.trim().is_empty() {
                tokens.push(sign);
            }
        }
    }
    tokens
}

/// All paths that code names, braces of `use` resolved.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let tokens = tokens(code);
    let (mut found, mut i) = (BTreeSet::new(), 0);
    while i < tokens.len() {
        let before = i;
        path(&tokens, &mut i, &[], &mut found);
        i = i.max(before + 1);
    }
    found
}

/// Reads one path, or a tree of paths, that goes on from `stem`.
fn path(tokens: &[String], i: &mut usize, stem: &[String], found: &mut BTreeSet<Vec<String>>) {
    let mut here = stem.to_vec();
    while let Some(word) = tokens.get(*i).filter(|t| t.starts_with(|c: char| c.is_alphabetic() || c == '_')) {
        here.push(word.clone());
        *i += 1;
        if tokens.get(*i).is_none_or(|sign| sign != "::") {
            break;
        }
        *i += 1;
        if tokens.get(*i).is_some_and(|sign| sign == "{") {
            *i += 1;
            while tokens.get(*i).is_some_and(|sign| sign != "}") {
                let before = *i;
                path(tokens, i, &here, found);
                *i = (*i).max(before + 1);
            }
            *i += 1;
            return;
        }
    }
    if here.len() > stem.len() {
        found.insert(here);
    }
}

/// Which of these names a path begins with, or has behind `use`.
fn roots(code: &str) -> BTreeSet<String> {
    paths(code).into_iter().filter_map(|path| path.into_iter().next()).collect()
}

#[test]
fn code_is_read_as_it_is_meant() {
    let bad = r#"
        // use telemetra_ops::Comment;
        use crate::{deliver::deliver, checkpoint::{trigger::Arrival, state::Markers}};
        use super::exporter::Exporter;
        const TEXT: &str = "use telemetra_sinks::Text;";
        fn f<'a>(quote: char) -> bool { quote == '"' && crate::pipeline::is_there() }
        use telemetra_ops as ops;
    "#;
    let named: Vec<String> = paths(bad).iter().map(|path| path.join("::")).collect();
    for path in [
        "crate::deliver::deliver",
        "crate::checkpoint::trigger::Arrival",
        "crate::checkpoint::state::Markers",
        "crate::pipeline::is_there",
    ] {
        assert!(named.iter().any(|named| named == path), "{path} is missing in {named:?}");
    }
    assert!(roots(bad).contains("telemetra_ops"));
    assert!(
        !named.iter().any(|path| path.contains("Comment") || path.contains("telemetra_sinks")),
        "{named:?}"
    );
    let exports = exports("pub use operators::changes::Publish; pub use pipeline::builder::Pipeline;");
    let late = |file: &str, code: &str| out_of_order(file, code, &exports);
    assert_eq!(late("operators/windows", bad).len(), 2, "`deliver` and `pipeline` come after `operators`");
    assert_eq!(late("observe/status", bad), ["pipeline/is_there"], "of one folder, and not earlier in it");
    assert_eq!(late("observe/metrics", "use super::exporter::Exporter;"), ["observe/exporter/Exporter"]);
    assert_eq!(
        late("read/fold", "use crate::Publish;"),
        ["operators/changes/Publish"],
        "also by its short name"
    );
    assert!(late("operators/top", "use crate::Publish;").is_empty());
    assert_eq!(forbidden("use telemetra_ops::{Ingest};", &["telemetra_ops"]), ["telemetra_ops"]);
    assert!(
        broken_links(Path::new("README.md"), "[a](no-such-file.md) [b](https://x.org) `[c](d)`").len() == 1
    );
    assert!(broken_links(Path::new("README.md"), "# A b\n[a](#a-b) [b](#c)").len() == 1);
}

/// Which of these crates code names.
fn forbidden<'a>(code: &str, crates: &[&'a str]) -> Vec<&'a str> {
    let roots = roots(code);
    crates.iter().copied().filter(|name| roots.contains(*name)).collect()
}

#[test]
fn nothing_points_back_up_the_table_of_crates() {
    let ours = ["telemetra", "telemetra_core", "telemetra_ops", "telemetra_sinks"];
    for (folder, banned) in [
        ("telemetra-core/src", &["telemetra", "telemetra_ops", "telemetra_sinks"][..]),
        ("telemetra-ops/src", &["telemetra", "telemetra_sinks"]),
        ("telemetra-sinks/src", &["telemetra", "telemetra_ops", "timely", "differential_dataflow"]),
        ("examples", &ours[1..]),
        ("benches", &ours[1..]),
    ] {
        for file in files(folder, "rs") {
            let found = forbidden(&read(&file), banned);
            assert!(found.is_empty(), "{} names {found:?}, which it may not", file.display());
        }
    }
    for (manifest, allowed) in [
        ("telemetra-core/Cargo.toml", &[][..]),
        ("telemetra-ops/Cargo.toml", &["telemetra-core"]),
        ("telemetra-sinks/Cargo.toml", &["telemetra-core"]),
        ("Cargo.toml", &["telemetra", "telemetra-core", "telemetra-ops", "telemetra-sinks"]),
    ] {
        let found = dependencies(manifest);
        let wrong: Vec<_> = found
            .iter()
            .filter(|name| name.starts_with("telemetra") && !allowed.contains(&&***name))
            .collect();
        assert!(wrong.is_empty(), "{manifest} depends on {wrong:?}");
        let flows = found.contains("timely") || found.contains("differential-dataflow");
        assert!(!(flows && manifest.contains("sinks")), "a sink never sees a capability");
    }
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table: toml::Table = read(Path::new(manifest)).parse().unwrap();
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let names =
        sections.iter().filter_map(|section| table.get(*section)?.as_table()).flat_map(toml::Table::keys);
    names.cloned().collect()
}

#[test]
fn core_knows_of_dataflows_only_what_a_timestamp_is() {
    for file in files("telemetra-core/src", "rs").iter().filter(|file| !file.ends_with("time/event_time.rs"))
    {
        let found = forbidden(&read(file), &["timely", "differential_dataflow", "Capability"]);
        assert!(found.is_empty(), "{} names {found:?}", file.display());
        assert!(!tokens(&read(file)).iter().any(|word| word == "Capability"), "{}", file.display());
    }
}

/// The folders of `telemetra-core` in the order of the flow; the files at its root are for all of them.
const CORE_FLOW: [&str; 8] = ["time", "read", "aggregate", "detect", "write", "checkpoint", "testkit", "lib"];

#[test]
fn no_file_of_the_core_names_a_later_folder() {
    // Each folder names its own and earlier ones; reading and time name each other's smallest parts.
    let allowed = [("time", "read")];
    let mut late = Vec::new();
    for file in files("telemetra-core/src", "rs") {
        let inside = file.strip_prefix("telemetra-core/src").unwrap();
        let folder = inside.iter().next().and_then(|folder| folder.to_str()).unwrap();
        let Some(own) = CORE_FLOW.iter().position(|name| *name == folder) else { continue };
        for path in paths(&read(&file)).into_iter().filter(|path| path.len() > 1 && path[0] == "crate") {
            let other = CORE_FLOW.iter().position(|name| *name == path[1]);
            if other.is_some_and(|other| other > own) && !allowed.contains(&(folder, &*path[1])) {
                late.push(format!("{}: {}", file.display(), path.join("::")));
            }
        }
    }
    assert!(late.is_empty(), "these name later folders: {late:#?}");
}

/// The live-stream domain is one domain among others: the three crates below it, and the router beside it, know no word of it, in
/// code, docs and tests.
#[test]
fn nothing_but_the_domain_itself_knows_a_word_of_it() {
    let words = ["chat", "viewer", "emote", "stream_id", "sentiment", "donation"];
    let mut found = Vec::new();
    for folder in ["telemetra-core/src", "telemetra-ops/src", "telemetra-sinks/src", "src/http"] {
        for file in files(folder, "rs") {
            let text = read(&file).to_lowercase();
            found.extend(
                words
                    .iter()
                    .filter(|word| text.contains(**word))
                    .map(|word| format!("{}: {word}", file.display())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The domain is written on what a user of the library has: nothing hidden, and no crate but the facade.
#[test]
fn the_domain_and_the_examples_use_the_public_interface_alone() {
    for folder in ["src/livestream", "examples"] {
        for file in files(folder, "rs") {
            let code = read(&file);
            let found = forbidden(&code, &["telemetra_core", "telemetra_ops", "telemetra_sinks"]);
            let hidden = paths(&code).into_iter().any(|path| path.iter().any(|part| part == "engine"));
            assert!(found.is_empty() && !hidden, "{} names {found:?} or what is hidden", file.display());
        }
    }
}

/// The router is written on what a user of the three crates has, knows no domain, and is in nobody's tree who does not ask
/// for it.
#[test]
fn the_router_uses_the_public_interface_of_the_crates_and_no_domain() {
    for file in files("src/http", "rs") {
        let found: Vec<_> = paths(&read(&file))
            .into_iter()
            .filter(|path| {
                let hidden = path.iter().any(|part| part == "engine" || part == "livestream");
                let outside = path[0] == "crate" && path.get(1).is_some_and(|module| module != "http");
                hidden || outside || path[0] == "timely" || path[0] == "differential_dataflow"
            })
            .map(|path| path.join("::"))
            .collect();
        assert!(found.is_empty(), "{} names {found:?}", file.display());
    }
    let manifest: toml::Table = read(Path::new("Cargo.toml")).parse().unwrap();
    let default = manifest["features"]["default"].as_array().unwrap();
    assert!(!default.iter().any(|feature| feature.as_str() == Some("http")), "{default:?}");
    for name in ["axum", "futures-core", "serde_json", "tokio", "tower-http", "tracing", "utoipa"] {
        let optional = manifest["dependencies"].get(name).and_then(|dependency| dependency.get("optional"));
        assert!(optional.is_some_and(|optional| optional.as_bool() == Some(true)), "{name}");
        let asks = |(feature, list): &(&String, &toml::Value)| {
            let asked =
                list.as_array().unwrap().iter().any(|asked| asked.as_str() == Some(&format!("dep:{name}")));
            asked && *feature != "http"
        };
        let others: Vec<_> = manifest["features"].as_table().unwrap().iter().filter(asks).collect();
        assert!(others.is_empty(), "{name} is asked for by {others:?}");
    }
}

/// What `lib.rs` re-exports, by its path.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let long = paths(lib).into_iter().filter(|path| path.len() > 1);
    long.map(|path| (path[path.len() - 1].clone(), path[..path.len().min(3)].join("/"))).collect()
}

/// Where a path, like `read/ingress/Ingress`, stands in the flow.
fn place(path: &str) -> Option<usize> {
    // The nearest entry is last: a part of a folder may come later than the folder.
    FLOW.iter().rposition(|entry| {
        path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// What a file of `telemetra-ops`, like `read/ingress`, names that comes later in the flow.
fn out_of_order(file: &str, code: &str, exports: &BTreeMap<String, String>) -> Vec<String> {
    let own = place(file).unwrap_or_else(|| panic!("`{file}` is not in the flow: give it its place"));
    let folder = file.split('/').next().unwrap_or_default();
    let named = paths(code).into_iter().filter(|path| path.len() > 1).filter_map(|path| {
        match (&*path[0], exports.get(&path[1])) {
            ("crate", Some(exported)) => Some(exported.clone()),
            ("crate", None) => Some(path[1..].join("/")),
            // Of another file of the folder, or of the file itself from a module within it.
            ("super", _) => Some(format!("{folder}/{}", path[1..].join("/"))),
            _ => None,
        }
    });
    named.filter(|other| place(other).is_none_or(|other| other > own)).collect()
}

#[test]
fn no_operator_names_a_later_step_of_the_flow() {
    let exports = exports(&read(Path::new("telemetra-ops/src/lib.rs")));
    for file in files("telemetra-ops/src", "rs") {
        let inside = file.strip_prefix("telemetra-ops/src").unwrap().with_extension("");
        // Those only list files.
        if inside.ends_with("lib") || inside.ends_with("mod") {
            continue;
        }
        let inside = inside.to_str().unwrap();
        let mut late = out_of_order(inside, &read(&file), &exports);
        if inside.ends_with("_tests") {
            late.retain(|named| !named.starts_with("testkit/"));
        }
        assert!(late.is_empty(), "{} names {late:?}, which come later in the flow", file.display());
    }
}

#[test]
fn files_stay_small() {
    for folder in ["src", "telemetra-core/src", "telemetra-ops/src", "telemetra-sinks/src", "examples"] {
        for file in files(folder, "rs") {
            let lines = read(&file).lines().count();
            assert!(lines <= LONGEST, "{} has {lines} lines: it holds more than one thing", file.display());
        }
    }
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The links of a page that lead nowhere in the repository.
fn broken_links(page: &Path, text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose: Vec<&str> = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            // What is between the first and the second backtick, and so on, is code.
            prose.extend(line.split('`').step_by(2));
            prose.push("\n");
        }
    }
    let prose = prose.concat();
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let is_broken = |link: &&str| {
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
        if !root().join(&target).exists() {
            return true;
        }
        let target_text = if path.is_empty() { text.to_owned() } else { read_if_page(&target) };
        let headings = target_text.lines().filter(|line| line.starts_with('#'));
        !heading.is_empty()
            && target.extension().is_some_and(|extension| extension == "md")
            && !headings.map(|line| anchor(line.trim_start_matches('#'))).any(|anchor| anchor == heading)
    };
    links.filter(|link| !link.contains("://")).filter(is_broken).map(ToOwned::to_owned).collect()
}

/// The text of a page; a picture has no headings.
fn read_if_page(path: &Path) -> String {
    if path.extension().is_some_and(|extension| extension == "md") { read(path) } else { String::new() }
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    for page in files("", "md") {
        let broken = broken_links(&page, &read(&page));
        assert!(broken.is_empty(), "{} links to {broken:?}", page.display());
    }
}

//! The units of systemd and their files of settings.

use std::collections::BTreeMap;
use std::process::Command;

use super::{check_command, has_variable, path, read};

pub(crate) const UNITS: [&str; 2] = ["telemetra-pipeline.service", "telemetra-api.service"];

/// The assignments of a unit.
pub(crate) fn unit(name: &str) -> BTreeMap<String, String> {
    let text = read(&format!("deploy/systemd/{name}"));
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn command(unit: &BTreeMap<String, String>) -> Vec<String> {
    let mut words: Vec<_> = unit["ExecStart"].split(' ').map(ToOwned::to_owned).collect();
    words[0] = words[0].strip_prefix("/usr/local/bin/").unwrap().to_owned();
    words
}

#[test]
fn a_unit_that_was_told_to_stop_has_not_failed() {
    for name in UNITS {
        let unit = unit(name);
        assert_eq!(unit["SuccessExitStatus"], "130 143", "{name}");
        let mut kept = unit["RestartPreventExitStatus"].split(' ');
        assert!(kept.any(|code| code == "2"), "{name}: a setting that cannot work stays so");
    }
    assert_eq!(
        unit(UNITS[0])["RestartPreventExitStatus"],
        "2 3",
        "one that was replaced would take its sinks back"
    );
}

#[test]
fn each_unit_has_a_folder_of_its_own() {
    let units = UNITS.map(unit);
    for unit in &units {
        assert_eq!(unit["DynamicUser"], "yes");
        assert_eq!(unit["WorkingDirectory"], format!("/var/lib/{}", unit["StateDirectory"]));
    }
    assert_ne!(units[0]["StateDirectory"], units[1]["StateDirectory"], "a folder belongs to one user");
}

#[test]
fn units_and_their_examples_have_settings_that_there_are() {
    for name in UNITS {
        let unit = unit(name);
        let command = command(&unit);
        check_command(&command);
        let file = unit["EnvironmentFile"].strip_prefix("/etc/telemetra/").unwrap();
        let example = read(&format!("deploy/systemd/{file}.example"));
        // Those that are commented out have no blank behind the sign.
        let lines = example.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
        let names: Vec<_> =
            lines.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once('=')).collect();
        assert!(names.len() > 5, "{file}");
        for (variable, _) in names {
            assert!(has_variable(&command[0], variable), "{file}: {} has no variable {variable}", command[0]);
        }
    }
}

/// By systemd itself where it is installed; it asks for programs that are there.
#[test]
fn systemd_finds_nothing_wrong() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("there is no systemd here: units are held to the settings only");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let verify = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let verify =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&verify.stderr).into_owned();
        told.lines().filter(|line| line.contains(name)).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    for name in UNITS {
        assert!(path("deploy/systemd").join(name).exists());
        let text = read(&format!("deploy/systemd/{name}"));
        let program = format!("/usr/local/bin/{}", command(&unit(name))[0]);
        let text = text.replace(&program, "/bin/true");
        assert_eq!(verify(name, &text), Vec::<String>::new());
        assert_ne!(verify(name, &text.replace("DynamicUser=", "DynamicUsers=")), Vec::<String>::new());
    }
}

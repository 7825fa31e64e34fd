//! The program's flags and variables.

use crate::settings::{Command, Input, Settings, Wrong, help, read};

fn settings(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, String> {
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    match read(args.iter().map(Into::into), env) {
        Ok(Command::Run(settings)) => Ok(*settings),
        Ok(Command::Help | Command::Markdown) => Err("help".to_owned()),
        Err(error) => {
            assert!(error.is::<Wrong>() || error.to_string().contains("slide"), "{error:#}");
            Err(format!("{error:#}"))
        }
    }
}

#[test]
fn flags_win_over_variables_and_these_over_defaults() {
    let default = settings(&[], &[]).unwrap();
    assert_eq!((default.port, default.streams, &default.input), (8000, 24, &Input::Demo));
    let env = [
        ("API_PORT", "81"),
        ("PRODUCER_CHANNELS", "7"),
        ("API_TITLE", "Ours"),
        ("CORS_ORIGINS", "https://a.org/, *"),
        ("API_TOKEN", "abc"),
        ("LOG_LEVEL", "WARNING"),
        ("CHAT_WINDOW_SLIDE_SECONDS", "20"),
        ("API_DATABASE", ""),
    ];
    let both = settings(&["--port", "82", "--input=-"], &env).unwrap();
    assert_eq!((both.port, both.streams, &*both.log_level), (82, 7, "warn"));
    assert_eq!(
        (both.input, both.time.windows.slide(), both.database),
        (Input::Lines("-".to_owned()), 20_000, None)
    );
    let options = settings(&[], &env).unwrap().options();
    assert_eq!((&*options.title, options.token.is_some()), ("Ours", true));
    assert!(!format!("{options:?}").contains("abc"), "a token is a secret");
    assert_eq!(options.origins, ["https://a.org", "*"]);
}

#[test]
fn what_cannot_be_is_said() {
    for (args, env, says) in [
        (&["--port", "70000"][..], &[][..], "--port: `70000` is not a port"),
        (&["--prot", "1"], &[], "no option --prot"),
        (&["--port"], &[], "port"),
        (&["here"], &[], "here"),
        (&[], &[("PRODUCER_CHANNELS", "0")], "PRODUCER_CHANNELS: `0`"),
        (&["--rate", "NaN"], &[], "--rate"),
        (&["--slide", "7"], &[], "slide"),
        (&["--cors-origins", "example.org"], &[], "not an origin"),
        (&["--log-format", "xml"], &[], "not text or json"),
        (&[], &[("API_TOKEN", "has space")], "API_TOKEN: it has to be of letters"),
        (&["--help"], &[], "help"),
    ] {
        let error = settings(args, env).unwrap_err();
        assert!(error.contains(says), "{args:?} {env:?}: {error}");
    }
    assert!(
        !settings(&[], &[("API_TOKEN", "has space")]).unwrap_err().contains("has space"),
        "a token is a secret"
    );
    for name in ["--port", "API_TOKEN", "CORS_ORIGINS", "API_TITLE", "LOG_LEVEL"] {
        assert!(help().contains(name), "{name}");
    }
}

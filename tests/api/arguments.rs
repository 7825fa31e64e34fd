//! The program's flags and variables.

use std::ffi::OsString;

use crate::common::settings::{Command, Wrong};
use crate::settings::{Input, Settings, TABLE, read};

pub(crate) fn settings(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, String> {
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    match read(args.iter().map(OsString::from), env) {
        Ok(Command::Run(given)) => Ok(given.settings),
        Ok(_) => Err("help".to_owned()),
        Err(error) => {
            assert!(error.is::<Wrong>(), "{error:#}");
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
    assert_eq!((both.port, both.log_level), (82, Some(tracing::Level::WARN)));
    assert_eq!(settings(&["--port", "1", "--port=2"], &env).unwrap().port, 2, "the last of a flag counts");
    assert!(settings(&["--quiet", "--no-quiet"], &[]).is_ok_and(|read| !read.quiet));
    assert!(settings(&["--no-quiet", "--quiet"], &[]).is_ok_and(|read| read.quiet));
    assert_eq!(
        (both.streams, settings(&[], &env).unwrap().streams),
        (24, 7),
        "with an input none are made up"
    );
    assert_eq!(
        (both.input, both.time.windows.slide(), both.database),
        (Input::Lines("-".to_owned()), 20_000, None)
    );
    let options = settings(&[], &env).unwrap().options();
    assert_eq!((&*options.title, options.token.is_some()), ("Ours", true));
    assert!(!format!("{options:?}").contains("abc"), "a token is a secret");
    assert!(options.origins.has("https://a.org") && options.origins.has("https://b.org"), "`*` is all");
}

#[test]
fn what_cannot_be_is_said() {
    for (args, env, says) in [
        (&["--port", "70000"][..], &[][..], "cannot use --port: `70000` is no whole number from 0 to 65535"),
        (
            &["--prot", "1"],
            &[],
            "unexpected argument '--prot' found\n\n  tip: a similar argument exists: '--port'",
        ),
        (&["--port"], &[], "port"),
        (&["here"], &[], "here"),
        (&[], &[("PRODUCER_CHANNELS", "0")], "cannot use the variable PRODUCER_CHANNELS: `0`"),
        (&["--rate", "NaN"], &[], "--rate"),
        (&["--rate", "0.01"], &[], "cannot use --rate: `0.01` is no number from 0.1 to 1000000"),
        (&["--rate", "2e6"], &[], "cannot use --rate"),
        (&["--window", "25h"], &[], "cannot use --window: `25h` is not from 1 s to 86400 s"),
        (
            &[],
            &[("CHAT_WINDOW_SLIDE_SECONDS", "0.1")],
            "cannot use the variable CHAT_WINDOW_SLIDE_SECONDS: `0.1`",
        ),
        (&[], &[("API_PORT", "tcp://10.0.0.9:8000")], "beside a service called `api`: set it to a number"),
        (&["--host="], &[], "cannot use --host: it is empty"),
        (&["--slide", "7"], &[], "a slide of 7000 ms"),
        (&["--cors-origins", "https://example.org/app"], &[], "`https://example.org/app` is no origin"),
        (&["--cors-origins", "https://bücher.example"], &[], "a host as browsers send it"),
        (&["--cors-origins", "example.org"], &[], "`example.org` is no origin"),
        (&["--log-format", "xml"], &[], "`xml` is none of text, json"),
        (&[], &[("API_TOKEN", "has space")], "cannot use the variable API_TOKEN: it has to be of letters"),
        (&["--title", ""], &[], "cannot use --title: it is empty"),
        (&["--config", ""], &[], "cannot use --config: it is empty"),
        (
            &[],
            &[("POSTGRES_HOST", "db"), ("REDIS_URL", "secret:6379")],
            "cannot use the variable REDIS_URL: it is no URL",
        ),
        (&["--token", "abc"], &[], "cannot use --token: it is a secret; give it by the variable API_TOKEN"),
        (&["--redis", "redis://:abc@r"], &[], "cannot use --redis: it is a secret"),
        (&["--no-token"], &[], "unexpected argument '--no-token'"),
        (&[], &[("REDIS_URL", "redis://r")], "need POSTGRES_HOST beside REDIS_URL"),
        (&["--postgres-tls", "verify"], &[], "`verify` is none of disable, prefer"),
        (&["--help"], &[], "help"),
    ] {
        let error = settings(args, env).unwrap_err();
        assert!(error.contains(says), "{args:?} {env:?}: {error}");
    }
    for (args, env) in [
        (&[][..], &[("API_TOKEN", "has space")][..]),
        (&["--token=has space"], &[]),
        (&["--redis=has space"], &[]),
        (&["--token", "has space"], &[]),
        (&[], &[("POSTGRES_HOST", "db"), ("REDIS_URL", "has space")]),
    ] {
        assert!(!settings(args, env).unwrap_err().contains("has space"), "a secret is not told");
    }
    let help = TABLE.command().render_help().to_string();
    for name in ["--port", "API_TOKEN", "CORS_ORIGINS", "API_TITLE", "LOG_LEVEL"] {
        assert!(help.contains(name), "{name}");
    }
    for secret in ["--token", "--redis ", "--postgres-password"] {
        assert!(!help.contains(secret) && !TABLE.markdown().contains(secret), "{secret} is no flag");
    }
}

#[test]
fn a_file_says_what_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api.toml");
    let with = |text: &str, args: &[&str]| {
        std::fs::write(&file, text).unwrap();
        settings(&[&["--config", file.to_str().unwrap()], args].concat(), &[("API_PORT", "81")])
    };
    let text =
        "port = 80\ntitle = \"Ours\"\nstreams = 7\ncors_origins = [\"https://a.org\", \"https://b.org\"]\n";
    let read = with(text, &["--streams", "8"]).unwrap();
    assert_eq!((read.port, read.streams), (81, 8), "a flag goes before a variable, and that before the file");
    assert_eq!(read.options().title, "Ours");
    let origins = read.options().origins;
    assert!(origins.has("https://a.org") && origins.has("https://b.org") && !origins.has("https://c.org"));
    let error = with("postgres_password = \"abc\"\n", &[]).unwrap_err();
    assert!(error.contains("`postgres_password` in ") && error.contains("by the variable POSTGRES_PASSWORD"));
    assert!(!error.contains("abc"), "{error}");
}

#[test]
fn the_servers_of_a_pipeline_elsewhere_are_its_own_variables() {
    let env = [
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_PASSWORD", "abc"),
        ("TELEMETRA_POSTGRES_TLS", "verify-full"),
        ("TELEMETRA_POSTGRES_CA", "/etc/ca.pem"),
        ("REDIS_URL", "redis://:abc@r"),
    ];
    let read = settings(&["--postgres-port", "5433"], &env).unwrap();
    let text = format!("{read:?} {:?}", read.postgres.config().unwrap());
    for word in ["`telemetra` at db:5433", "VerifyFull", "/etc/ca.pem"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(!text.contains("abc"), "a password is a secret: {text}");
}

#[test]
fn a_variable_may_name_a_file_that_holds_the_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "redis://:abc@r\n").unwrap();
    let path = file.path().to_str().unwrap();
    let env = [("POSTGRES_HOST", "db"), ("REDIS_URL_FILE", path)];
    assert_eq!(settings(&[], &env).unwrap().redis.url.0.as_deref(), Some("redis://:abc@r"));
    let both = [&env[..], &[("REDIS_URL", "redis://s")]].concat();
    assert_eq!(settings(&[], &both).unwrap().redis.url.0.as_deref(), Some("redis://s"), "the variable wins");
    let away = [("POSTGRES_HOST", "db"), ("REDIS_URL_FILE", "/there/is/none")];
    assert!(
        settings(&[], &away).unwrap_err().contains("cannot read /there/is/none, which REDIS_URL_FILE names")
    );
    std::fs::write(&file, "\n").unwrap();
    assert!(settings(&[], &env).unwrap_err().contains("which REDIS_URL_FILE names, is empty; write"));
    let unused = [("API_SEED_FILE", "/there/is/none")];
    assert!(settings(&["--input", "-"], &unused).is_ok(), "what means nothing is not read");
}

#[test]
fn variables_for_what_is_not_done_here_are_passed_over() {
    let made_up = [("PRODUCER_CHANNELS", "ada,bob"), ("PRODUCER_RATE_PER_SEC", "max"), ("API_SEED", "x")];
    // Two are the producer's as well, which takes more: names, and `max`.
    let default = settings(&[], &[]).unwrap();
    let read = settings(&[], &made_up[..2]).unwrap();
    assert_eq!((read.streams, read.rate), (default.streams, default.rate));
    assert!(settings(&["--streams", "ada,bob"], &[]).unwrap_err().contains("cannot use --streams"));
    assert!(
        settings(&[], &[("PRODUCER_RATE_PER_SEC", "fast")]).unwrap_err().contains("PRODUCER_RATE_PER_SEC")
    );
    assert!(settings(&["--input", "-"], &made_up).is_ok());
    let elsewhere =
        [("POSTGRES_HOST", "db"), ("REDIS_URL", "redis://r"), ("CHAT_WINDOW_SLIDE_SECONDS", "0.1")];
    assert!(settings(&[], &[&elsewhere[..], &made_up].concat()).is_ok());
    assert!(settings(&["--window", "0.1"], &elsewhere).is_err(), "a flag is meant");
    let link = [("POSTGRES_PORT", "tcp://10.0.0.9:5432")];
    assert_eq!(settings(&[], &link).unwrap().postgres.port, 5432);
    let error = settings(&[], &[&elsewhere[..2], &link].concat()).unwrap_err();
    assert!(
        error.contains("cannot use the variable POSTGRES_PORT: ") && error.contains("`postgres`"),
        "{error}"
    );
}

//! Access: who gets in, and how; and that no secret is logged.

use std::error::Error;

use redis::Commands;
use telemetra_core::{ExternalError, Retry};

use super::services::{Kind, Server};
use super::*;

/// The rights that the documentation asks for.
pub(crate) const RIGHTS: &str = "+evalsha +script|load +type +get +set +del +pexpire +hset +hlen +rpush \
                                 +llen +zadd +zrem +zcard +publish";

fn client(url: &str, authority: Vec<u8>) -> Connection {
    let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(authority) };
    redis::Client::build_with_tls(url, certificates).unwrap().get_connection().unwrap()
}

fn written(mut connection: Connection, prefix: &str) -> bool {
    connection.hget::<_, _, Option<u64>>(latest(prefix, "d1"), "readings").unwrap() == Some(2)
}

fn write(mut sink: RedisSink) -> Result<(), ExternalError> {
    open(&mut sink, None)?;
    let changes = vec![readings("d1", 0, 2, 0, Action::Upsert), moment("d1", 0, 1, true, 0, Action::Upsert)];
    sink.apply(&[common::batch(0, changes)])?;
    // Also what leaves.
    sink.apply(&[common::batch(300, vec![])])?;
    sink.apply(&[tick(301, &[("d1", 2)])])
}

/// The whole error must not show the password.
fn denied(sink: RedisSink, says: &str, secret: &str) {
    let shown = format!("{sink:?}");
    let error = write(sink).unwrap_err();
    let text = format!("{shown} {error} {error:?} {}", error.source().unwrap());
    assert_eq!(error.retry(), Retry::Permanent, "{text}");
    assert!(text.contains(says), "{text}");
    assert!(!text.contains(secret), "{text}");
}

#[test]
fn a_user_with_the_documented_rights_gets_in() {
    let server = Server::of(Kind::Redis)
        .set(
            "user",
            &format!("writer on >pass-word resetkeys ~telemetra:* resetchannels &telemetra:* -@all {RIGHTS}"),
        )
        .start();
    let at = format!("127.0.0.1:{}", server.port());
    write(sink(&format!("redis://writer:pass-word@{at}/"), "telemetra")).unwrap();
    assert!(written(connect(&server.url()), "telemetra"));
    // The right that lacks is on the key, the channel, or the command.
    denied(sink(&format!("redis://writer:pass-word@{at}/"), "other"), "the user lacks a right", "pass-word");
    denied(
        sink(&format!("redis://writer:wrong-word@{at}/"), "telemetra"),
        "user or password is wrong",
        "wrong-word",
    );
    let mut admin = connect(&server.url());
    redis::cmd("ACL").arg(&["SETUSER", "writer", "-publish"]).exec(&mut admin).unwrap();
    denied(
        sink(&format!("redis://writer:pass-word@{at}/"), "telemetra"),
        "the user lacks a right",
        "pass-word",
    );
    redis::cmd("ACL")
        .arg(&["SETUSER", "default", ">pass-word", "resetpass", ">pass-word"])
        .exec(&mut admin)
        .unwrap();
    denied(sink(&format!("redis://{at}/"), "telemetra"), "it wants a password", "pass-word");
}

#[test]
fn tls_needs_an_authority_that_is_known() {
    let server = Server::of(Kind::Redis).tls().set("requirepass", "pass-word").start();
    let authority = std::fs::read(server.authority()).unwrap();
    let url = format!("rediss://:pass-word@localhost:{}/", server.port());
    let at = RedisServer::url(&*url).timeout(TIME_OUT);
    denied(super::at(at.clone(), "telemetra"), "its certificate is not trusted", "pass-word");
    write(super::at(at.authority(authority.clone()), "telemetra")).unwrap();
    assert!(written(client(&url, authority.clone()), "telemetra"));
    // Any certificate of the authority's shows it who is there.
    let mut admin = client(&url, authority.clone());
    redis::cmd("CONFIG").arg(&["SET", "tls-auth-clients", "yes"]).exec(&mut admin).unwrap();
    let tls = |name: &str| std::fs::read(server.folder().join("tls").join(name)).unwrap();
    let at = RedisServer::url(&*url).timeout(TIME_OUT).authority(authority);
    assert!(write(super::at(at.clone(), "telemetra").start_over()).is_err());
    write(super::at(at.certificate(tls("server.crt"), tls("server.key")), "telemetra").start_over()).unwrap();
    let plain =
        RedisServer::url(format!("redis://:pass-word@localhost:{}/", server.port())).timeout(TIME_OUT);
    let error = write(super::at(plain, "telemetra")).unwrap_err();
    assert!(!format!("{error:?}").contains("pass-word"));
}

#[test]
fn settings_of_tls_without_tls_are_refused() {
    // Nobody is there, so whatever is not refused before is a connection that fails.
    let (plain, safe) = ("redis://:pass-word@127.0.0.1:1/", "rediss://:pass-word@127.0.0.1:1/");
    let signed = |server: RedisServer| server.authority(*b"PEM");
    for (server, says) in [
        (signed(RedisServer::url(plain)), "`authority`"),
        (RedisServer::url(plain).certificate(*b"PEM", *b"KEY"), "`certificate`"),
        (signed(RedisServer::url("redis+unix:///tmp/none.sock")), "`authority`"),
        (signed(RedisServer::cluster([plain, plain])), "`authority`"),
        (signed(RedisServer::cluster([safe, plain])), "some"),
        (RedisServer::cluster([plain, safe]), "some"),
        (RedisServer::sentinel([plain, safe], "primary"), "`node`"),
        (signed(RedisServer::sentinel([safe, plain], "primary")), "`node`"),
        (signed(RedisServer::sentinel([plain], "primary")), "`authority`"),
        (signed(RedisServer::sentinel([plain], "primary").node(plain)), "`authority`"),
    ] {
        let mut sink = super::at(server, "telemetra");
        for error in [sink.progress().unwrap_err(), open(&mut sink, None).unwrap_err()] {
            let text = format!("{error} {error:?}");
            assert_eq!(error.retry(), Retry::Permanent, "{text}");
            assert!(error.to_string().contains(says) && error.to_string().contains("rediss://"), "{text}");
            assert!(!text.contains("pass-word"), "{text}");
        }
    }
    // Sentinels have often no TLS, and the master has; also while they get it one by one.
    for sentinels in [vec![plain], vec![plain, safe]] {
        let mixed = RedisServer::sentinel(sentinels, "primary").node(safe);
        let error = open(&mut super::at(signed(mixed), "telemetra"), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Transient, "{error:?}");
    }
}

#[test]
fn a_socket_of_the_machine_and_another_database_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let server = Server::of(Kind::Redis).set("unixsocket", socket.to_str().unwrap()).start();
    write(sink(&format!("redis+unix://{}?db=3", socket.display()), "telemetra")).unwrap();
    assert!(written(connect(&format!("{}3", server.url())), "telemetra"));
}

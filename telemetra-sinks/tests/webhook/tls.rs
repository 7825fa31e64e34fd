//! Webhooks over TLS: certificates are checked.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use telemetra_core::{Retry, Sink};
use telemetra_sinks::Webhook;

use crate::common::{batch, moment, tables};
use crate::receiver::{Request, read_request};

fn openssl(folder: &Path, args: &str) {
    let made =
        Command::new("openssl").args(args.split_whitespace()).current_dir(folder).output().unwrap_or_else(
            |error| panic!("there is no `openssl` to make certificates with: {error}; install it"),
        );
    assert!(made.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&made.stderr));
}

/// Makes an authority, a certificate of it for `localhost`, and an authority that nobody trusts.
fn certificates(folder: &Path) {
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["root", "stranger"] {
        openssl(folder, &format!("{new} -x509 -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    }
    openssl(folder, &format!("{new} -subj /CN=localhost -keyout server.key -out server.csr"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile names -out server.pem",
    );
}

/// A server with that certificate, which takes the requests of connections, one after the other.
fn serve(folder: &Path) -> (u16, Arc<Mutex<Vec<Request>>>) {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, requests) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, taken) = (listener.local_addr().unwrap().port(), Arc::clone(&requests));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            if let Some(request) = read_request(&mut reader) {
                taken.lock().unwrap().push(request);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = reader.get_mut().write_all(answer);
            }
        }
    });
    (port, requests)
}

#[test]
fn certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (port, requests) = serve(folder.path());
    let pem = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let apply = |host: &str, authority: Option<Vec<u8>>| {
        let url = format!("https://{host}:{port}/hooks");
        let state = tempfile::tempdir().unwrap();
        let sink = Webhook::new(&url, state.path()).unwrap().table("moments");
        let mut sink = match authority {
            Some(pem) => sink.authority(pem),
            None => sink,
        };
        sink.open(&tables(), None)?;
        sink.apply(&[batch(0, vec![moment("d", 0, true)])])
    };
    apply("localhost", Some(pem("root.pem"))).unwrap();
    assert_eq!(requests.lock().unwrap().len(), 1);
    for (host, authority) in
        [("localhost", Some(pem("stranger.pem"))), ("localhost", None), ("127.0.0.1", Some(pem("root.pem")))]
    {
        let error = apply(host, authority).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(error.retry(), Retry::Permanent, "{error}: {cause:?}");
    }
    let error = apply("localhost", Some(b"no certificate".to_vec())).unwrap_err();
    assert!(error.to_string().contains("authority"), "{error}");
    assert_eq!(requests.lock().unwrap().len(), 1, "nothing was said to one that is not trusted");
}

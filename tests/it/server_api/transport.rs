//! What a network and a server can do wrong.

use std::{sync::Arc, time::Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rollcall::{
    providers::api::{ApiError, NoAnswer},
    server_api::{MAX_ANSWER_BYTES, Transport},
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::{
    CHAT_KEY, Clients, IMPATIENCE, OPENIM_SECRET, PATIENCE, SERVER_SECRET,
    server::{Deed, Server, json as answer},
    users,
};
use crate::support::Log;

/// What becomes of one question to a server that does this to every request.
async fn asked(deed: Deed) -> (ApiError, Server) {
    let is_endless = matches!(deed, Deed::Hang | Deed::Drip);
    let patience = if is_endless { IMPATIENCE } else { PATIENCE };
    let server = Server::start(move |_, _| deed.clone()).await;
    let transport = Transport::system(patience).unwrap();
    let clients = Clients::over(transport, &server.url()).await;
    let error = clients.zego.users(&"r".parse().unwrap(), &users(["a"])).await.unwrap_err();
    (error, server)
}

fn why(error: &ApiError) -> NoAnswer {
    match error {
        ApiError::NoAnswer { why, .. } => *why,
        error => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_or_is_slow_is_not_waited_for() {
    for deed in [Deed::Hang, Deed::Drip] {
        let began = Instant::now();
        let (error, server) = asked(deed.clone()).await;
        assert_eq!(why(&error), NoAnswer::TimedOut, "{deed:?}");
        let most = IMPATIENCE.answer * 8;
        assert!(began.elapsed() < most, "{deed:?}: {:?}", began.elapsed());
        assert_eq!(server.asked().len(), 1, "{deed:?}: it is not asked again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_long_is_not_read() {
    for is_announced in [true, false] {
        let long = Deed::Long { bytes: MAX_ANSWER_BYTES + (1 << 17), is_announced };
        let (error, _) = asked(long).await;
        assert_eq!(why(&error), NoAnswer::TooLong, "{is_announced}");
    }
}

/// The request holds credentials, which are for nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_, _| answer(&json!({ "Code": 50_001 }))).await;
    for to in [other.url(), "/other".to_owned()] {
        let (error, server) = asked(Deed::Redirect(to)).await;
        assert!(matches!(error, ApiError::Status { status, .. } if status == 302), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
    assert!(other.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_tried_again_and_another_protocol_is_not() {
    let half = "HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{\"Code\":50001";
    for (deed, expected, times) in [
        (Deed::Close(""), NoAnswer::Lost, 3),
        (Deed::Close("HTTP/1.1 200 X\r\nconte"), NoAnswer::Lost, 3),
        (Deed::Close(half), NoAnswer::Lost, 3),
        (Deed::Garbage, NoAnswer::NotHttp, 1),
    ] {
        let (error, server) = asked(deed.clone()).await;
        assert_eq!(why(&error), expected, "{deed:?}");
        assert_eq!(server.asked().len(), times, "{deed:?}");
    }
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let clients = Clients::at(&format!("http://127.0.0.1:{port}")).await;
    let error = clients.zego.users(&"r".parse().unwrap(), &users(["a"])).await.unwrap_err();
    assert_eq!(why(&error), NoAnswer::NoConnection);
}

/// A new root as PEM, and a server's TLS with a certificate for `host` that it signed.
fn own_root(host: &str) -> (String, TlsAcceptor) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = root.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_certificate_of_a_trusted_root_and_the_right_name_is_accepted() {
    let (pem, tls) = own_root("localhost");
    let (other_pem, _) = own_root("localhost");
    let empty = || answer(&json!({ "Code": 0, "Data": { "UserStatusList": [] } }));
    let server = Server::with(Some(tls), move |_, _| empty()).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let ask = async |transport: Transport, url: String| {
        let clients = Clients::over(transport, &url).await;
        clients.zego.users(&"r".parse().unwrap(), &users(["a"])).await
    };
    let bundle = |pem: &str| Transport::bundle(pem.as_bytes(), PATIENCE).unwrap();
    let right = format!("https://localhost:{}", server.port);
    assert_eq!(ask(bundle(&pem), right.clone()).await, Ok(Vec::new()));
    for (transport, url) in [
        (bundle(&other_pem), right.clone()),
        (Transport::system(PATIENCE).unwrap(), right),
        (bundle(&pem), format!("https://127.0.0.1:{}", server.port)),
        (bundle(&pem), format!("https://localhost:{plain_port}")),
    ] {
        let error = ask(transport, url.clone()).await.unwrap_err();
        assert_eq!(why(&error), NoAnswer::Tls, "{url}");
    }
    assert_eq!(server.asked().len(), 1, "no request was sent before the certificate was accepted");
    assert!(Transport::bundle(b"nonsense", PATIENCE).is_err());
}

/// Promise 8: whatever a server does, neither an error nor the log holds a credential, or what the
/// server wrote.
#[tokio::test]
async fn promise_8_secret_no_credential_of_a_server_api_is_in_an_error_or_in_the_log() {
    let (log, _guard) = Log::capture_all();
    let echo = "an echo of what was sent";
    let mut deeds = vec![
        Deed::Hang,
        Deed::Garbage,
        Deed::Close(""),
        Deed::Redirect(format!("http://127.0.0.1:1/{echo}")),
        Deed::Answer(500, echo.to_owned()),
        Deed::Answer(200, echo.to_owned()),
    ];
    for field in ["Code", "ErrorCode", "errCode"] {
        deeds.push(answer(&json!({ field: 60_010, "ErrorInfo": echo, "errMsg": echo })));
    }
    for deed in deeds {
        let server = Server::start(move |asked, _| match asked.path() {
            "/auth/get_admin_token" => answer(&json!({
                "errCode": 0, "data": { "token": "the-token-of-these-tests", "expireTimeSeconds": 9 }
            })),
            _ => deed.clone(),
        })
        .await;
        let transport = Transport::system(IMPATIENCE).unwrap();
        let clients = Clients::over(transport, &server.url()).await;
        let room = "r".parse().unwrap();
        let errors = [
            clients.zego.users(&room, &users(["a"])).await.unwrap_err(),
            clients.zego.user_list(&room, None).await.unwrap_err(),
            clients.chat.online_status(&users(["a"])).await.unwrap_err(),
            clients.openim.users_status(&users(["a"])).await.unwrap_err(),
        ];
        let mut secrets = vec![
            SERVER_SECRET.to_owned(),
            CHAT_KEY.to_owned(),
            OPENIM_SECRET.to_owned(),
            "the-token-of-these-tests".to_owned(),
            echo.to_owned(),
        ];
        let sent = server.asked();
        assert!(sent.iter().any(|asked| asked.head.contains("the-token-of-these-tests")));
        for name in ["Signature", "SignatureNonce", "usersig"] {
            let values = sent.iter().flat_map(|asked| asked.parameter(name));
            let values: Vec<String> = values.map(str::to_owned).collect();
            assert!(!values.is_empty(), "{name} was sent");
            secrets.extend(values);
        }
        let printed = format!("{errors:?} {errors:#?} {clients:?}", clients = clients.zego);
        let shown = errors.map(|error| error.to_string()).join("\n");
        for text in [printed, shown, format!("{:?} {:?}", clients.chat, clients.openim), log.text()]
        {
            let found = secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert!(found.is_none(), "{found:?} is in {text}");
        }
    }
    assert!(log.text().contains("connecting"), "the HTTP client logs, too: {}", log.text());
}

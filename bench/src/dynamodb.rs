//! The embedded DynamoDB behind TLS, because production uses TLS. It counts the requests. The same
//! address answers what the functions need from Secrets Manager.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rollcall_local::{EXAMPLE_APPS, dynamodb::Embedded};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::{Failure, busy::Busy};

/// Consumed units, as DynamoDB reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Units {
    pub(crate) requests: u64,
    pub(crate) table_writes: f64,
    pub(crate) index_writes: f64,
    pub(crate) reads: f64,
}

#[derive(Debug, Default)]
struct Meter {
    requests: AtomicU64,
    /// A piece of work is a request, from when it is read to when its answer is.
    busy: Busy,
    /// Set while requests report what they consume.
    units: Mutex<Option<Units>>,
}

/// A DynamoDB with a certificate of our own.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    /// Its address with TLS.
    pub(crate) url: String,
    /// Its address without TLS.
    pub(crate) plain_url: String,
    /// Amazon's roots and our own: what Rollcall would parse, and a little more.
    pub(crate) roots: PathBuf,
    /// The system's roots and our own: what all others parse.
    pub(crate) system_roots: PathBuf,
    /// Our own root.
    pub(crate) own_root: PathBuf,
    meter: Arc<Meter>,
    connections: watch::Sender<()>,
}

impl DynamoDb {
    pub(crate) async fn start(folder: &Path) -> Result<Self, Failure> {
        let plain = TcpListener::bind("127.0.0.1:0").await?;
        let plain_address = plain.local_addr()?;
        tokio::spawn(Embedded::in_memory()?.serve(plain, std::future::pending()));

        let (acceptor, own) = certificate()?;
        let roots = [own.as_str(), AMAZON_ROOTS].concat();
        let system = SYSTEM_BUNDLES.into_iter().find_map(|path| std::fs::read_to_string(path).ok());
        let system_roots = [own.as_str(), &system.unwrap_or_default()].concat();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map(|()| path)
        };

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let meter = Arc::<Meter>::default();
        let (connections, close) = watch::channel(());
        let front = Front {
            http: Client::builder(TokioExecutor::new()).build_http(),
            table: plain_address.to_string(),
            meter: meter.clone(),
        };
        tokio::spawn(serve(listener, acceptor, front, close));
        Ok(Self {
            url,
            plain_url: format!("http://{plain_address}"),
            roots: write("roots.pem", &roots)?,
            system_roots: write("system-roots.pem", &system_roots)?,
            own_root: write("own-root.pem", &own)?,
            meter,
            connections,
        })
    }

    /// Closes every connection, as a server does with idle ones.
    pub(crate) fn close_connections(&self) {
        self.connections.send_replace(());
    }

    /// The requests since the start.
    pub(crate) fn requests(&self) -> u64 {
        self.meter.requests.load(Ordering::Relaxed)
    }

    /// How long the embedded DynamoDB worked on at least one of them. Unlike in the cloud, an index
    /// costs it time.
    pub(crate) fn time(&self) -> Duration {
        self.meter.busy.time()
    }

    /// From now on requests report what they consume.
    pub(crate) fn count_units(&self) {
        *self.meter.units() = Some(Units::default());
    }

    /// The units that were consumed since [`Self::count_units`]. This ends the counting.
    pub(crate) fn take_units(&self) -> Units {
        self.meter.units().take().unwrap_or_default()
    }

    /// One request, without TLS.
    pub(crate) async fn ask(&self, operation: &str, body: &Value) -> Result<Value, Failure> {
        ask(&self.plain_url, operation, body).await
    }
}

impl Meter {
    fn units(&self) -> std::sync::MutexGuard<'_, Option<Units>> {
        self.units.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn add(&self, operation: &str, answer: &Value) {
        if let Some(units) = self.units().as_mut() {
            units.requests += 1;
            let consumed = &answer["ConsumedCapacity"];
            let total = consumed["CapacityUnits"].as_f64().unwrap_or_default();
            let indexes = consumed["GlobalSecondaryIndexes"].as_object().into_iter().flatten();
            let of_indexes: f64 =
                indexes.filter_map(|(_, index)| index["CapacityUnits"].as_f64()).sum();
            if is_write(operation) {
                // A refused condition is charged like the write, but not reported.
                let refused = answer["__type"].is_string();
                units.table_writes += if refused { 1.0 } else { total - of_indexes };
                units.index_writes += of_indexes;
            } else {
                units.reads += total;
            }
        }
    }
}

fn is_write(operation: &str) -> bool {
    ["UpdateItem", "PutItem", "DeleteItem"].iter().any(|write| operation.ends_with(write))
}

/// One request to the DynamoDB at `url`, which has no TLS and checks no signature.
pub(crate) async fn ask(url: &str, operation: &str, body: &Value) -> Result<Value, Failure> {
    let http: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(url)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
        .header(header::AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
        .header("x-amz-date", "20260101T000000Z")
        .body(Full::from(body.to_string()))?;
    let response = http.request(request).await?;
    let is_success = response.status().is_success();
    let answer = response.into_body().collect().await?.to_bytes();
    if !is_success {
        return Err(format!("{operation}: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// The roots that are built into the functions.
const AMAZON_ROOTS: &str = include_str!("../../shared/src/aws/amazon-roots.pem");

/// The paths of the system's roots on Amazon Linux and Debian.
const SYSTEM_BUNDLES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

fn certificate() -> Result<(TlsAcceptor, String), Failure> {
    let root_key = rcgen::KeyPair::generate()?;
    let mut root = rcgen::CertificateParams::new(Vec::new())?;
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "Rollcall bench");
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let root_pem = root.self_signed(&root_key)?.pem();
    let key = rcgen::KeyPair::generate()?;
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&root, &root_key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )?;
    Ok((TlsAcceptor::from(Arc::new(config)), root_pem))
}

#[derive(Debug, Clone)]
struct Front {
    http: Client<HttpConnector, Full<Bytes>>,
    table: String,
    meter: Arc<Meter>,
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    front: Front,
    close: watch::Receiver<()>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, acceptor.clone(), front.clone(), close.clone()));
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    front: Front,
    mut close: watch::Receiver<()>,
) -> Result<(), Failure> {
    close.mark_unchanged();
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(move |request| front.clone().forward(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => served?,
        _ = close.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await?;
        }
    }
    Ok(())
}

/// Secrets Manager's answer to a request for the apps.
fn secret() -> String {
    let version = "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111";
    json!({
        "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:rollcall/apps-a1b2c3",
        "CreatedDate": 1_790_000_000,
        "Name": "rollcall/apps",
        "SecretString": EXAMPLE_APPS,
        "VersionId": version,
        "VersionStages": ["AWSCURRENT"],
    })
    .to_string()
}

impl Front {
    async fn forward(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let (mut parts, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        let operation = parts.headers.get("x-amz-target").and_then(|name| name.to_str().ok());
        let operation = operation.unwrap_or_default().to_owned();
        if operation == "secretsmanager.GetSecretValue" {
            return Ok(Response::new(Full::from(secret())));
        }
        self.meter.requests.fetch_add(1, Ordering::Relaxed);
        let counts = self.meter.units().is_some();
        if counts {
            let mut json: Value = serde_json::from_slice(&body)?;
            json["ReturnConsumedCapacity"] = json!("INDEXES");
            body = json.to_string().into();
            parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        parts.uri = format!("http://{}/", self.table).parse()?;
        let work = self.meter.busy.begin();
        let response = self.http.request(Request::from_parts(parts, Full::new(body))).await?;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(work);
        if counts {
            self.meter.add(&operation, &serde_json::from_slice(&body)?);
        }
        parts.headers.remove(header::TRANSFER_ENCODING);
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

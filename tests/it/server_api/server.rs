//! A server on loopback that answers as it is told to, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// A status and a body.
    Answer(u16, String),
    /// A redirect to this URL.
    Redirect(String),
    /// Nothing, with an open connection.
    Hang,
    /// The first bytes of an answer, and then one at a time.
    Drip,
    /// A body of this many bytes.
    Long { bytes: usize, is_announced: bool },
    /// Bytes that are not HTTP.
    Garbage,
    /// The connection is closed, after this much of an answer.
    Close(&'static str),
}

/// An answer in JSON, with status 200.
pub(super) fn json(value: &serde_json::Value) -> Deed {
    Deed::Answer(200, value.to_string())
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// The request line and the headers.
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    /// The path and the query.
    pub(super) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(super) fn path(&self) -> &str {
        self.target().split('?').next().unwrap()
    }

    /// All values of a parameter, which need no decoding.
    pub(super) fn parameter(&self, name: &str) -> Vec<&str> {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
    }
}

type Deeds = dyn Fn(&Asked, usize) -> Deed + Send + Sync;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// `deeds` gets a request and how many came before it.
    pub(super) async fn start(
        deeds: impl Fn(&Asked, usize) -> Deed + Send + Sync + 'static,
    ) -> Self {
        Self::with(None, deeds).await
    }

    pub(super) async fn with(
        tls: Option<TlsAcceptor>,
        deeds: impl Fn(&Asked, usize) -> Deed + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let (asked, deeds): (_, Arc<Deeds>) = (server.asked.clone(), Arc::new(deeds));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, deeds, tls) = (asked.clone(), deeds.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &asked, &*deeds).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &asked, &*deeds).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    asked: &Mutex<Vec<Asked>>,
    deeds: &Deeds,
) {
    while let Some(request) = read(&mut stream).await {
        let number = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(request.clone());
            asked.len() - 1
        };
        let head = |status: u16, length: usize| {
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
            )
        };
        let sent = match deeds(&request, number) {
            Deed::Answer(status, body) => format!("{}\r\n{body}", head(status, body.len())),
            Deed::Redirect(to) => format!("{}location: {to}\r\n\r\n", head(302, 0)),
            Deed::Hang => return tokio::time::sleep(Duration::from_mins(1)).await,
            Deed::Drip => {
                let _ = stream.write_all(format!("{}\r\n", head(200, 1000)).as_bytes()).await;
                for _ in 0..1000 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if stream.write_all(b" ").await.is_err() {
                        break;
                    }
                }
                return;
            }
            Deed::Long { bytes, is_announced } => {
                let head = if is_announced {
                    format!("{}\r\n", head(200, bytes))
                } else {
                    "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n".to_owned()
                };
                let _ = stream.write_all(head.as_bytes()).await;
                let part = vec![b' '; 1 << 16];
                for _ in 0..bytes / part.len() {
                    if stream.write_all(&part).await.is_err() {
                        break;
                    }
                }
                return;
            }
            Deed::Garbage => "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
            Deed::Close(part) => {
                let _ = stream.write_all(part.as_bytes()).await;
                return;
            }
        };
        if stream.write_all(sent.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            while bytes.len() < end + 4 + length {
                if stream.read_buf(&mut bytes).await.ok()? == 0 {
                    return None;
                }
            }
            let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
            return Some(Asked { at: Instant::now(), head, body });
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

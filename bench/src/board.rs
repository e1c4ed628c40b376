//! An open board, without the browser: both streams, and the questions of the overview every second,
//! or as often as the page asks a slow gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::task::JoinSet;

use crate::Failure;

/// The streams that the page reads, and those that it asks again.
const STREAMS: [&str; 2] = ["/board/callbacks", "/events?provider=zego&app=1"];
const QUESTIONS: [&str; 2] = ["/rooms/zego/1?limit=100", "/stats/zego/1"];

/// More often than the page asks.
const PAUSE: Duration = Duration::from_secs(1);

/// The page asks a sixth of the time at most (`Refresher` in `local/board/api.js`).
const PAUSE_PER_ROUND: u32 = 5;

/// A board that is open.
#[derive(Debug)]
pub(crate) struct OpenBoard {
    seen: Arc<Counts>,
    /// Ended when it is dropped.
    tasks: JoinSet<Result<(), Failure>>,
}

#[derive(Debug, Default)]
struct Counts {
    streamed: AtomicU64,
    answers: AtomicU64,
}

/// What a board got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Bytes of its streams.
    pub(crate) streamed: u64,
    /// Answers to its questions.
    pub(crate) answers: u64,
}

/// Opens the board of this gateway.
pub(crate) async fn open(url: &str) -> Result<OpenBoard, Failure> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let page = http.get(format!("{url}/").parse()?).await?;
    if !page.status().is_success() {
        return Err(format!("the board answers {}", page.status()).into());
    }
    let (seen, mut tasks) = (Arc::<Counts>::default(), JoinSet::new());
    for stream in STREAMS {
        tasks.spawn(read(http.clone(), format!("{url}{stream}"), seen.clone()));
    }
    tasks.spawn(ask(http, url.to_owned(), seen.clone()));
    Ok(OpenBoard { seen, tasks })
}

impl OpenBoard {
    /// Closes it.
    pub(crate) fn close(mut self) -> Seen {
        self.tasks.abort_all();
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Seen { streamed: count(&self.seen.streamed), answers: count(&self.seen.answers) }
    }
}

type Http = Client<HttpConnector, Empty<Bytes>>;

/// Reads a stream. When it ends, it is opened again, as a browser does.
async fn read(http: Http, url: String, seen: Arc<Counts>) -> Result<(), Failure> {
    loop {
        let mut body = http.get(url.parse()?).await?.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            seen.streamed.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

async fn ask(http: Http, url: String, seen: Arc<Counts>) -> Result<(), Failure> {
    loop {
        let began = Instant::now();
        for question in QUESTIONS {
            let answer = http.get(format!("{url}{question}").parse()?).await?;
            if answer.status().is_success() {
                answer.into_body().collect().await?;
                seen.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(PAUSE.max(began.elapsed() * PAUSE_PER_ROUND)).await;
    }
}

//! The real binaries of the functions. Each instance has its own Lambda runtime API, and can be
//! killed at any moment.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use rollcall::runtime;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::TcpListener,
    process::Command,
    sync::{Mutex, Notify, mpsc, oneshot, watch},
};

use super::secrets;

/// Binaries of the functions, and the instances of each.
pub(crate) struct Fleet {
    environment: Vec<(&'static str, String)>,
    functions: HashMap<&'static str, Function>,
    /// The instances with an event, so that they can be killed while they work on it.
    busy: StdMutex<Vec<Arc<Notify>>>,
    /// The ids of all processes that were started, and what they are.
    processes: StdMutex<Vec<(&'static str, u32)>>,
}

struct Function {
    idle: Mutex<mpsc::UnboundedReceiver<Instance>>,
    give_back: mpsc::UnboundedSender<Instance>,
}

/// A running binary.
struct Instance {
    events: mpsc::Sender<Invocation>,
    kill: Arc<Notify>,
    died: watch::Receiver<bool>,
}

struct Invocation {
    event: Value,
    deadline_ms: u64,
    answer: oneshot::Sender<(Value, Duration)>,
}

/// The receiver of the answer, and when it began to wait.
type Current = (oneshot::Sender<(Value, Duration)>, Instant);

/// The runtime API of one instance.
struct Api {
    events: Mutex<mpsc::Receiver<Invocation>>,
    /// The current event.
    current: StdMutex<Option<Current>>,
    ready: watch::Sender<bool>,
}

impl Fleet {
    /// Starts this many instances of each function, with only this environment.
    pub(crate) async fn start(
        functions: &[&'static str],
        instances: usize,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        let mut fleet = Self {
            environment,
            functions: HashMap::new(),
            busy: StdMutex::default(),
            processes: StdMutex::default(),
        };
        for name in functions {
            let (give_back, idle) = mpsc::unbounded_channel();
            fleet.functions.insert(name, Function { idle: Mutex::new(idle), give_back });
            for _ in 0..instances {
                fleet.launch(name).await;
            }
        }
        fleet
    }

    /// Sends an event to an idle instance. Returns the answer and how long it took, or `None` if
    /// the instance was killed first.
    pub(crate) async fn invoke(
        &self,
        function: &'static str,
        event: Value,
        limit: Duration,
    ) -> Option<(Value, Duration)> {
        let Function { idle, give_back } = &self.functions[function];
        let mut instance = idle.lock().await.recv().await.unwrap();
        let (answer, answered) = oneshot::channel();
        let deadline_ms = runtime::now().after(limit).0;
        self.busy().push(instance.kill.clone());
        let sent = instance.events.send(Invocation { event, deadline_ms, answer }).await;
        let answered = tokio::select! {
            answered = answered, if sent.is_ok() => answered.ok(),
            _ = instance.died.wait_for(|died| *died) => None,
        };
        self.busy().retain(|kill| !Arc::ptr_eq(kill, &instance.kill));
        if answered.is_some() && !*instance.died.borrow() {
            give_back.send(instance).unwrap();
        } else {
            self.launch(function).await;
        }
        answered
    }

    /// Kills one of the busy instances, if there is one.
    pub(crate) fn kill_one(&self) -> bool {
        let busy = self.busy();
        let Some(kill) = fastrand::choice(busy.iter()) else { return false };
        kill.notify_one();
        true
    }

    /// The ids of the processes of a function, in the order in which they were started.
    pub(crate) fn processes(&self, function: &str) -> Vec<u32> {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.iter().filter(|(of, _)| *of == function).map(|(_, id)| *id).collect()
    }

    fn busy(&self) -> MutexGuard<'_, Vec<Arc<Notify>>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn launch(&self, function: &'static str) {
        let (events, to_come) = mpsc::channel(1);
        let (ready, mut is_ready) = watch::channel(false);
        let api =
            Arc::new(Api { events: Mutex::new(to_come), current: StdMutex::default(), ready });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(Api::next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(Api::response))
            .fallback(Api::unexpected)
            .with_state(api);
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut child = Command::new(binary(function))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", function),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "test"),
                ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
                // This identifies the function to a proxy.
                ("AWS_ACCESS_KEY_ID", function),
            ])
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{function} cannot run, is it built? {error}"));
        let processes = &self.processes;
        processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(child.id().map(|id| (function, id)));
        tokio::spawn(search(function, child.stdout.take().unwrap()));
        tokio::spawn(search(function, child.stderr.take().unwrap()));
        let (death, died) = watch::channel(false);
        let kill = Arc::new(Notify::new());
        let wanted = kill.clone();
        tokio::spawn(async move {
            tokio::select! {
                status = child.wait() => panic!("{function} ended by itself: {status:?}"),
                () = wanted.notified() => child.kill().await.unwrap(),
            }
            death.send_replace(true);
            server.abort();
        });
        is_ready.wait_for(|ready| *ready).await.unwrap();
        self.functions[function].give_back.send(Instance { events, kill, died }).unwrap();
    }
}

impl Api {
    async fn next(State(api): State<Arc<Self>>) -> (HeaderMap, Json<Value>) {
        api.ready.send_replace(true);
        let Some(invocation) = api.events.lock().await.recv().await else {
            // The fleet is gone, so this instance ends, too.
            return std::future::pending().await;
        };
        let mut headers = HeaderMap::new();
        headers.insert("lambda-runtime-aws-request-id", "request".parse().unwrap());
        let deadline = invocation.deadline_ms.to_string();
        headers.insert("lambda-runtime-deadline-ms", deadline.parse().unwrap());
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:test";
        headers.insert("lambda-runtime-invoked-function-arn", arn.parse().unwrap());
        *api.current() = Some((invocation.answer, Instant::now()));
        (headers, Json(invocation.event))
    }

    #[expect(clippy::unused_async, reason = "axum's handlers are futures")]
    async fn response(
        State(api): State<Arc<Self>>,
        Path(_): Path<String>,
        answer: String,
    ) -> StatusCode {
        secrets::expect_none("an answer", &answer);
        let answer = serde_json::from_str(&answer).unwrap();
        let (waiting, since) = api.current().take().unwrap();
        // The receiver may have given up.
        let _ = waiting.send((answer, since.elapsed()));
        StatusCode::ACCEPTED
    }

    #[expect(clippy::unused_async, reason = "axum's handlers are futures")]
    async fn unexpected(request: axum::extract::Request) -> StatusCode {
        panic!("a function calls {}", request.uri());
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Searches what a function prints.
async fn search(function: &'static str, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        secrets::expect_none(function, &line);
    }
}

/// The binary of a function, as `cargo build --bins` made it beside this test.
fn binary(function: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join(function)
}

//! Lambda's Runtime API on loopback, and a function that runs behind it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
};

use crate::{Failure, cpu};

/// Longer than anything here takes: a function that does not answer by then is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a function is started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// A running function.
#[derive(Debug)]
pub(crate) struct Lambda {
    name: String,
    child: Child,
    pid: u32,
    events: UnboundedSender<Bytes>,
    nexts: UnboundedReceiver<Instant>,
    answers: UnboundedReceiver<(Instant, Result<Bytes, Bytes>)>,
}

struct Endpoint {
    events: Mutex<UnboundedReceiver<Bytes>>,
    nexts: UnboundedSender<Instant>,
    answers: UnboundedSender<(Instant, Result<Bytes, Bytes>)>,
}

impl Lambda {
    /// Starts a function and waits until it asks for its first event. Returns how long that took.
    /// Its output goes to a file in `logs`.
    pub(crate) async fn start(program: &Program, logs: &Path) -> Result<(Self, Duration), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, pending) = unbounded_channel();
        let (asked, nexts) = unbounded_channel();
        let (answered, answers) = unbounded_channel();
        let endpoint =
            Arc::new(Endpoint { events: Mutex::new(pending), nexts: asked, answers: answered });
        tokio::spawn(serve(listener, endpoint));

        let log = std::fs::File::create(logs.join(format!("{}.log", program.name)))?;
        let started = Instant::now();
        let child = Command::new(&program.command[0])
            .args(&program.command[1..])
            .current_dir(&program.folder)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{:?} cannot be started: {error}", program.command))?;
        let pid = child.id().ok_or("a function ended at once")?;
        let name = program.name.clone();
        let mut lambda = Self { name, child, pid, events, nexts, answers };
        let ready = lambda.wait_for_next().await?;
        Ok((lambda, ready.duration_since(started)))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    async fn wait_for_next(&mut self) -> Result<Instant, Failure> {
        let asked = tokio::select! {
            asked = tokio::time::timeout(PATIENCE, self.nexts.recv()) => asked.ok().flatten(),
            _ = self.child.wait() => None,
        };
        asked.ok_or_else(|| format!("{} does not ask for an event, see its log", self.name).into())
    }

    /// Passes an event, and waits for the answer and until the function is ready again. Returns how
    /// long the answer took. It must be a success.
    pub(crate) async fn call(&mut self, event: &Bytes) -> Result<Duration, Failure> {
        let started = self.hand_over(event.clone())?;
        self.answer(started).await
    }

    /// As [`Self::call`], after the function was frozen and the event arrived meanwhile.
    pub(crate) async fn call_after_thaw(
        &mut self,
        event: &Bytes,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<Duration, Failure> {
        self.signal(Signal::SIGSTOP)?;
        meanwhile.await;
        self.hand_over(event.clone())?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let started = Instant::now();
        self.signal(Signal::SIGCONT)?;
        self.answer(started).await
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(kill(Pid::from_raw(self.pid.cast_signed()), signal)?)
    }

    fn hand_over(&self, event: Bytes) -> Result<Instant, Failure> {
        let started = Instant::now();
        self.events.send(event).map_err(|_| "the runtime endpoint is gone")?;
        Ok(started)
    }

    async fn answer(&mut self, started: Instant) -> Result<Duration, Failure> {
        let (answered, json) = self.any_answer().await?;
        if json["statusCode"] != 200 {
            return Err(format!("{} answers {json}", self.name).into());
        }
        Ok(answered.duration_since(started))
    }

    /// When it answered, and what.
    async fn any_answer(&mut self) -> Result<(Instant, Value), Failure> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        let (answered, answer) =
            answer.ok().flatten().ok_or_else(|| format!("{} does not answer", self.name))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let answer = answer.map_err(|error| format!("{}: {}", self.name, text(&error)))?;
        self.wait_for_next().await?;
        Ok((answered, serde_json::from_slice(&answer)?))
    }

    /// Passes an event, and returns the answer, whatever it is.
    #[cfg(test)]
    pub(crate) async fn ask(&mut self, event: &Bytes) -> Result<Value, Failure> {
        self.hand_over(event.clone())?;
        Ok(self.any_answer().await?.1)
    }

    /// The CPU time it has used.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        Ok(cpu::used_by(self.pid)?)
    }

    /// The most memory it has had, in KB.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
        Ok(kb.parse()?)
    }

    /// Stops the function.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.signal(Signal::SIGTERM)?;
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>) {
    while let Ok((stream, _)) = listener.accept().await {
        let endpoint = endpoint.clone();
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| answer(endpoint.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    endpoint: Arc<Endpoint>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        let mut events = endpoint.events.lock().await;
        endpoint.nexts.send(Instant::now())?;
        let event = events.recv().await.ok_or("the bench is over")?;
        #[expect(clippy::disallowed_methods, reason = "Lambda sends a deadline")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let deadline = now.as_millis() + 60_000;
        let response = Response::builder()
            .header("content-type", "application/json")
            .header(
                "lambda-runtime-aws-request-id",
                format!("00000000-0000-4000-8000-{:012x}", now.as_micros() & 0xffff_ffff_ffff),
            )
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:bench",
            )
            .header(
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            );
        return Ok(response.body(Full::new(event))?);
    }
    let is_answer = path.ends_with("/response");
    let body = request.into_body().collect().await?.to_bytes();
    let answer = if is_answer { Ok(body) } else { Err(body) };
    endpoint.answers.send((Instant::now(), answer))?;
    Ok(Response::builder().status(202).body(Full::default())?)
}

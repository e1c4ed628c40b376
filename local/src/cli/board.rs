//! `cargo run -- board`: the board of a stack, on this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use clap::Args;
use rollcall::{
    config::Apps,
    domain::{App, AppId, ProviderName},
};
use rollcall_local::{
    ask::Client,
    board::{self, About, Guard, Mode, ShownApp},
};
use rollcall_players::client;
use tokio::net::TcpListener;

use super::{Failure, apps_of, serve::stop_signal};

#[derive(Debug, Args)]
pub(crate) struct BoardArgs {
    /// The stack's address, such as `https://ID.execute-api.REGION.amazonaws.com`
    #[arg(long)]
    url: String,
    /// An app that the board shows, such as `zego/1234567890`; may be repeated [default: those of
    /// `ROLLCALL_APPS`]
    #[arg(long, value_name = "PROVIDER/ID", value_parser = app)]
    app: Vec<App>,
    /// Port of the board
    #[arg(long, default_value_t = 9001)]
    port: u16,
}

/// Reads `zego/1`.
fn app(text: &str) -> Result<App, String> {
    let (provider, id) = text.split_once('/').ok_or("write PROVIDER/ID, such as zego/1")?;
    let provider = ProviderName::by_name(provider).ok_or_else(|| {
        let names = ProviderName::ALL.map(ProviderName::as_str).join(", ");
        format!("{provider} is none of {names}")
    })?;
    let id: AppId = id.parse().map_err(|error| format!("{error}"))?;
    Ok(App { provider, id })
}

pub(crate) async fn run(args: BoardArgs) -> Result<ExitCode, Failure> {
    let apps = if args.app.is_empty() { configured()? } else { args.app };
    if apps.is_empty() {
        return Err("say which apps the board shows, with --app zego/ID".into());
    }
    let client = Client::new(client()?, &args.url);
    if !client.is_signed() && client.url().starts_with("https://") {
        eprintln!(
            "rollcall: nothing is signed for IAM: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and \
             for a role AWS_SESSION_TOKEN"
        );
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("{address} cannot be used ({error}): choose another port with --port")
    })?;
    let address = listener.local_addr()?;
    let about = About {
        mode: Mode::Stack,
        apps: apps.into_iter().map(ShownApp::from).collect(),
        version: About::VERSION,
        address: format!("http://{address}"),
        events: false,
        logs_query: Some(About::LOGS_QUERY),
        commands: Vec::new(),
        example_apps: false,
    };
    println!("See {} in a browser: {}/", client.url(), about.address);
    println!("Everyone with an account on this machine can see it. Ctrl-C stops.");
    let router = Guard::new(address, |_| false).around(board::of_stack(client, about));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served?,
        // It only reads: nothing in progress has to end.
        signal = stop_signal() => signal?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The apps of `ROLLCALL_APPS`. A stack has no examples.
fn configured() -> Result<Vec<App>, Failure> {
    Ok(apps_of(&Apps::from_env()?.unwrap_or_default(), ProviderName::ALL))
}

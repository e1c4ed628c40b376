//! `cargo run -- token`: ZEGO's login tickets at the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rollcall::{
    domain::AppId,
    providers::zego::{SERVER_SECRETS, ServerSecret},
    zego_token::{Claims, Expected, ParameterError, Permission, Room, UserId, ZegoAppId, verify},
};

use super::{
    Failure, apps,
    tickets::{Whose, lifetime, no_key, of, say},
};

/// The AppID of the example.
const EXAMPLE: &str = "1";

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a token
    Mint {
        #[command(flatten)]
        whose: Whose,
        /// How long it is valid, in seconds: 60 to 15552000 (180 days) [default: 3600, an hour]
        #[arg(long, value_name = "SECONDS")]
        expire: Option<u64>,
        #[command(flatten)]
        privileges: Privileges,
    },
    /// Check a token: print until when it is valid, or the code of ZEGO's clients and exit with 1
    Verify {
        #[command(flatten)]
        whose: Whose,
        /// The token
        token: String,
    },
}

#[derive(Debug, Args)]
struct Privileges {
    /// The room of a privilege token, which allows the user to enter it
    #[arg(long, value_name = "ID")]
    room: Option<String>,
    /// The user may not enter the room
    #[arg(long, requires = "room")]
    no_login: bool,
    /// The user may publish streams in the room
    #[arg(long, requires = "room")]
    publish: bool,
    /// One of the streams that the user may publish [default: any]
    #[arg(long = "stream", value_name = "ID", requires = "room")]
    streams: Vec<String>,
}

pub(crate) fn run(args: TokenArgs) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Mint { whose, expire, privileges } => {
            let (room, lifetime) = (privileges.room()?, lifetime(expire)?);
            let Expected { app, user } = expected(&whose)?;
            let keys = keys(&whose, app)?;
            let key = keys.first().ok_or_else(|| no_key("AppID", app))?;
            let claims = Claims { app, user, issued_at: whose.now(), lifetime, room };
            println!("{}", claims.token(key)?.expose());
            Ok(ExitCode::SUCCESS)
        }
        Action::Verify { whose, token } => {
            let expected = expected(&whose)?;
            let keys = keys(&whose, expected.app)?;
            if keys.is_empty() {
                return Err(no_key("AppID", expected.app));
            }
            let keys = keys.iter().map(|key| (expected.app, key));
            Ok(say(verify(&token, &expected, keys, whose.now())))
        }
    }
}

impl Privileges {
    fn room(self) -> Result<Option<Room>, Failure> {
        let Some(id) = self.room else { return Ok(None) };
        let (login, publish) = (!self.no_login, self.publish);
        let streams = Some(self.streams).filter(|streams| !streams.is_empty());
        let room =
            Room::new(&id, Permission::from(login), Permission::from(publish), streams.as_deref());
        Ok(Some(room.map_err(|error| match error {
            ParameterError::Streams | ParameterError::StreamId => of("--stream")(error),
            _ => of("--room")(error),
        })?))
    }
}

fn expected(whose: &Whose) -> Result<Expected, Failure> {
    let app = whose.app(EXAMPLE).parse().map_err(of("--app"))?;
    let user: UserId = whose.user.parse().map_err(of("--user"))?;
    Ok(Expected { app, user })
}

fn keys(whose: &Whose, app: ZegoAppId) -> Result<Vec<ServerSecret>, Failure> {
    if let Some(key) = &whose.key {
        let secret = super::secret("--key", key.clone(), SERVER_SECRETS)?;
        let key = ServerSecret::new(&secret).ok_or("--key is no key of AES-256")?;
        return Ok(vec![key]);
    }
    let id: AppId = app.to_string().parse()?;
    Ok(apps()?.zego.remove(&id).map(|app| app.server_secrets).unwrap_or_default())
}

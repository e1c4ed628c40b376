//! `cargo run -- user-sig`: Tencent's login tickets at the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rollcall::{
    callback::Secret,
    domain::AppId,
    providers::tencent::SECRET_KEYS,
    user_sig::{Claims, Expected, Privileges, Room, SdkAppId, UserId, verify},
};

use super::{
    Failure, apps,
    tickets::{Whose, lifetime, no_key, of, say},
};

/// The SDKAppID of the example.
const EXAMPLE: &str = "1400000000";

#[derive(Debug, Args)]
pub(crate) struct UserSigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a UserSig, and with a room its PrivateMapKey in a second line
    Mint {
        #[command(flatten)]
        whose: Whose,
        /// How long it is valid, in seconds: 60 to 15552000 (180 days) [default: 7 days]
        #[arg(long, value_name = "SECONDS")]
        expire: Option<u64>,
        /// The room of the PrivateMapKey, by its name
        #[arg(long, value_name = "ID")]
        room: Option<String>,
        /// The room of the PrivateMapKey, by its number
        #[arg(long, value_name = "N", conflicts_with = "room")]
        room_number: Option<u64>,
        /// What the PrivateMapKey allows, as a sum of bits [default: 255, everything]
        #[arg(long, value_name = "N")]
        privileges: Option<u8>,
    },
    /// Check a UserSig: print until when it is valid, or Tencent's code and exit with 1
    Verify {
        #[command(flatten)]
        whose: Whose,
        /// The UserSig or PrivateMapKey
        ticket: String,
    },
}

pub(crate) fn run(args: UserSigArgs) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Mint { whose, expire, room, room_number, privileges } => {
            let room = match (room, room_number) {
                (Some(name), _) => Some(Room::name(&name).map_err(of("--room"))?),
                (None, Some(number)) => Some(Room::number(number).map_err(of("--room-number"))?),
                (None, None) => None,
            };
            if room.is_none() && privileges.is_some() {
                return Err("--privileges needs --room or --room-number".into());
            }
            let lifetime = lifetime(expire)?;
            let Expected { app, user } = expected(&whose)?;
            let claims = Claims { app, user, issued_at: whose.now(), lifetime };
            let keys = keys(&whose, app)?;
            let key = keys.first().ok_or_else(|| no_key("SDKAppID", app))?;
            println!("{}", claims.user_sig(key)?.expose());
            if let Some(room) = room {
                let privileges = privileges.map(Privileges).unwrap_or_default();
                println!("{}", claims.private_map_key(&room, privileges, key)?.expose());
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Verify { whose, ticket } => {
            let expected = expected(&whose)?;
            let keys = keys(&whose, expected.app)?;
            if keys.is_empty() {
                return Err(no_key("SDKAppID", expected.app));
            }
            Ok(say(verify(&ticket, &expected, |_| &keys, whose.now())))
        }
    }
}

fn expected(whose: &Whose) -> Result<Expected, Failure> {
    let app = whose.app(EXAMPLE).parse().map_err(of("--app"))?;
    let user: UserId = whose.user.parse().map_err(of("--user"))?;
    Ok(Expected { app, user })
}

fn keys(whose: &Whose, app: SdkAppId) -> Result<Vec<Secret>, Failure> {
    if let Some(key) = &whose.key {
        return Ok(vec![super::secret("--key", key.clone(), SECRET_KEYS)?]);
    }
    let id: AppId = app.to_string().parse()?;
    Ok(apps()?.tencent.remove(&id).map(|app| app.secret_keys).unwrap_or_default())
}

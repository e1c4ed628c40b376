//! `cargo run -- user-sig`: Tencent's login tickets at the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rollcall::{
    callback::Secret,
    domain::{AppId, UnixSeconds},
    providers::tencent::SECRET_KEYS,
    runtime,
    user_sig::{
        Claims, Expected, Lifetime, ParameterError, Privileges, Room, SdkAppId, UserId, verify,
    },
};

use super::{Failure, apps};

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

#[derive(Debug, Args)]
struct Whose {
    /// The UserID
    #[arg(long)]
    user: String,
    /// The SDKAppID
    #[arg(long, default_value = "1400000000")]
    app: String,
    /// The app's SecretKey [default: the app's in `ROLLCALL_APPS`, else the example's]
    #[arg(long)]
    key: Option<String>,
    /// The time in Unix seconds [default: the clock's]
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
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
            let lifetime = match expire {
                Some(seconds) => Lifetime::from_seconds(seconds).map_err(of("--expire"))?,
                None => Lifetime::DEFAULT,
            };
            let Expected { app, user } = whose.expected()?;
            let claims = Claims { app, user, issued_at: whose.now(), lifetime };
            let keys = whose.keys(app)?;
            let key = keys.first().ok_or_else(|| no_key(app))?;
            println!("{}", claims.user_sig(key)?.expose());
            if let Some(room) = room {
                let privileges = privileges.map(Privileges).unwrap_or_default();
                println!("{}", claims.private_map_key(&room, privileges, key)?.expose());
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Verify { whose, ticket } => {
            let expected = whose.expected()?;
            let keys = whose.keys(expected.app)?;
            if keys.is_empty() {
                return Err(no_key(expected.app));
            }
            Ok(match verify(&ticket, &expected, |_| &keys, whose.now()) {
                Ok(valid) => {
                    println!("valid until {}", valid.expires_at);
                    ExitCode::SUCCESS
                }
                Err(invalid) => {
                    println!("{} {invalid}", invalid.code());
                    ExitCode::FAILURE
                }
            })
        }
    }
}

impl Whose {
    fn expected(&self) -> Result<Expected, Failure> {
        let app = self.app.parse().map_err(of("--app"))?;
        let user: UserId = self.user.parse().map_err(of("--user"))?;
        Ok(Expected { app, user })
    }

    fn keys(&self, app: SdkAppId) -> Result<Vec<Secret>, Failure> {
        if let Some(key) = &self.key {
            return Ok(vec![super::secret("--key", key.clone(), SECRET_KEYS)?]);
        }
        let id: AppId = app.to_string().parse()?;
        let mut apps = apps()?;
        Ok(apps.tencent.remove(&id).map(|app| app.secret_keys).unwrap_or_default())
    }

    fn now(&self) -> UnixSeconds {
        self.now.map_or_else(|| runtime::now().seconds(), UnixSeconds)
    }
}

fn of(option: &'static str) -> impl Fn(ParameterError) -> String {
    move |error| format!("{option} {error}")
}

fn no_key(app: SdkAppId) -> Failure {
    format!("no key is known for SDKAppID {app}: give one with --key").into()
}

//! Makes up a plausible history: many people who register, come online, enter rooms and leave them.

use std::{collections::VecDeque, time::Duration};

use rollcall::domain::UnixMillis;

use super::{Event, openim, tencent, zego, zim};

/// A history takes this long, unless it has so many events that they would be less than a
/// millisecond apart. An OpenIM device without an event for half an hour counts as
/// offline.
const SPAN: Duration = Duration::from_mins(10);

/// Events are at most this far apart.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// How many events a person has on average.
const EVENTS_PER_PERSON: usize = 6;

/// How many people share a room on average.
const PEOPLE_PER_ROOM: usize = 8;

/// The platforms of the people's two devices, as OpenIM and as Chat name them.
const OPENIM_PLATFORMS: [openim::Platform; 4] = [
    openim::Platform::Ios,
    openim::Platform::Web,
    openim::Platform::Android,
    openim::Platform::Windows,
];
const CHAT_PLATFORMS: [&str; 4] = ["iOS", "Web", "Android", "Windows"];

/// The kinds of devices of ZIM's users.
const OS: [&str; 4] = ["ANDROID", "IOS_PHONE", "WEB", "PC"];

/// Which history: the same values make the same one.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// How many events.
    pub count: usize,
    /// All that is left to chance.
    pub seed: u32,
    /// When the last event happens.
    pub until: UnixMillis,
}

/// Whose events: all of them, or those of one kind. Names of people and rooms begin with those of
/// the options.
#[derive(Debug, Clone)]
pub enum Provider {
    /// ZEGO's.
    Zego(Option<zego::EventName>, zego::Options),
    /// ZIM's users, who log in and out.
    Zim(zego::Options),
    /// `OpenIM`'s.
    OpenIm(Option<openim::EventName>, openim::Options),
    /// Tencent's.
    Tencent(Option<tencent::EventName>, tencent::Options),
}

impl Script {
    /// A part of every name, so that histories do not mix.
    #[must_use]
    pub fn tag(&self) -> String {
        let mut chance = fastrand::Rng::with_seed(self.until.0);
        let salt = chance.u32(..) ^ u32::try_from(self.count).unwrap_or(u32::MAX);
        let mut chance = fastrand::Rng::with_seed(u64::from(salt) << 32 | u64::from(self.seed));
        format!("{:08x}", chance.u32(..))
    }

    /// The events in the order in which they happen.
    #[must_use]
    pub fn play(&self, providers: &[Provider]) -> Vec<Event> {
        // How many steps it takes shows only when it has been played.
        let (_, steps) = self.events(providers, UnixMillis(0), 1);
        let span = u64::try_from(SPAN.as_millis()).unwrap_or(u64::MAX);
        let longest = u64::try_from(LONGEST_STEP.as_millis()).unwrap_or(u64::MAX);
        let step = (span / steps.max(1)).clamp(1, longest);
        let start = UnixMillis(self.until.0.saturating_sub(steps * step));
        self.events(providers, start, step).0
    }

    fn events(&self, providers: &[Provider], start: UnixMillis, step: u64) -> (Vec<Event>, u64) {
        let unforeseen = fastrand::u64(..);
        fastrand::seed(u64::from(self.seed));
        let count = self.count / providers.len().max(1);
        let mut players: Vec<Player> =
            providers.iter().map(|provider| Player::new(provider, &self.tag(), count)).collect();
        let (mut events, mut steps) = (Vec::with_capacity(self.count), 0);
        while events.len() < self.count && !players.is_empty() {
            let player = fastrand::usize(..players.len());
            steps += 1;
            events.extend(players[player].next(UnixMillis(start.0 + steps * step)));
        }
        // What is made up later, such as a nonce, is not part of the history.
        fastrand::seed(unforeseen);
        (events, steps)
    }
}

/// The names of those who take part.
#[derive(Debug)]
struct Cast {
    people: usize,
    rooms: usize,
    user: String,
    room: String,
    /// A TRTC room's number is this one and more.
    first_number: u32,
}

impl Cast {
    fn new(user: &str, room: &str, tag: &str, count: usize) -> Self {
        let people = (count / EVENTS_PER_PERSON).max(1);
        let rooms = (people / PEOPLE_PER_ROOM).max(1);
        Self {
            people,
            rooms,
            user: format!("{user}-{tag}"),
            room: format!("{room}-{tag}"),
            first_number: fastrand::u32(1..4_000_000_000),
        }
    }

    fn user(&self, person: usize) -> String {
        format!("{}-{person}", self.user)
    }

    fn room(&self, room: usize) -> String {
        format!("{}-{room}", self.room)
    }

    fn somebody(&self) -> usize {
        fastrand::usize(..self.people)
    }
}

/// Who is in which room.
#[derive(Debug)]
struct Rooms {
    whereabouts: Vec<Option<usize>>,
    people: Vec<usize>,
    is_open: Vec<bool>,
}

/// What happens in a room.
#[derive(Debug, Clone, Copy)]
struct Scene {
    what: Happening,
    person: usize,
    room: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    Created,
    Entered,
    Left,
    Closed,
}

impl Rooms {
    fn new(cast: &Cast) -> Self {
        Self {
            whereabouts: vec![None; cast.people],
            people: vec![0; cast.rooms],
            is_open: vec![false; cast.rooms],
        }
    }

    /// Somebody who is in a room leaves it, and somebody who is in none enters one. The first one
    /// in a room has it created, and some rooms are closed after the last one.
    fn next(&mut self, person: usize) -> Vec<Scene> {
        let scene = |what, room| Scene { what, person, room };
        if let Some(room) = self.whereabouts[person].take() {
            self.people[room] -= 1;
            let mut scenes = vec![scene(Happening::Left, room)];
            if self.people[room] == 0 && fastrand::bool() {
                self.is_open[room] = false;
                scenes.push(scene(Happening::Closed, room));
            }
            return scenes;
        }
        let room = fastrand::usize(..self.people.len());
        let mut scenes = Vec::new();
        if !self.is_open[room] {
            self.is_open[room] = true;
            scenes.push(scene(Happening::Created, room));
        }
        self.whereabouts[person] = Some(room);
        self.people[room] += 1;
        scenes.push(scene(Happening::Entered, room));
        scenes
    }
}

/// Plays one provider, an event at a time.
#[derive(Debug)]
enum Player {
    Zego(Box<Zego>),
    Zim(Box<Zim>),
    OpenIm(Box<OpenIm>),
    Tencent(Box<Tencent>),
}

impl Player {
    fn new(provider: &Provider, tag: &str, count: usize) -> Self {
        match provider.clone() {
            Provider::Zego(only, options) => {
                let cast = Cast::new(&options.user, &options.room, tag, count);
                Self::Zego(Box::new(Zego {
                    only,
                    rooms: Rooms::new(&cast),
                    roles: vec![options.role; cast.people],
                    known: zego::Rooms::default(),
                    ahead: VecDeque::new(),
                    options,
                    cast,
                }))
            }
            Provider::Zim(options) => {
                let cast = Cast::new(&options.user, "", tag, count);
                Self::Zim(Box::new(Zim {
                    is_online: vec![false; cast.people],
                    known: zim::Sessions::default(),
                    options,
                    cast,
                }))
            }
            Provider::OpenIm(only, options) => {
                let user = options.users.first().map_or("", String::as_str);
                // Nobody is registered twice, and up to three are at once.
                let is_registering = only == Some(openim::EventName::UserRegister);
                let events = if is_registering { 3 * EVENTS_PER_PERSON * count } else { count };
                let cast = Cast::new(user, "", tag, events);
                Self::OpenIm(Box::new(OpenIm {
                    only,
                    is_registered: vec![false; cast.people],
                    is_online: vec![[false; 2]; cast.people],
                    options,
                    cast,
                }))
            }
            Provider::Tencent(only, options) => {
                let cast = Cast::new(&options.user, &options.room, tag, count);
                Self::Tencent(Box::new(Tencent {
                    only,
                    rooms: Rooms::new(&cast),
                    roles: vec![options.role; cast.people],
                    is_online: vec![[false; 2]; cast.people],
                    ahead: VecDeque::new(),
                    options,
                    cast,
                }))
            }
        }
    }

    /// The next event; none, if it is of another kind than the options ask for.
    fn next(&mut self, at: UnixMillis) -> Option<Event> {
        match self {
            Self::Zego(zego) => zego.next(at),
            Self::Zim(zim) => Some(zim.next(at)),
            Self::OpenIm(openim) => openim.next(at),
            Self::Tencent(tencent) => tencent.next(at),
        }
    }
}

#[derive(Debug)]
struct Zego {
    only: Option<zego::EventName>,
    options: zego::Options,
    cast: Cast,
    rooms: Rooms,
    roles: Vec<u16>,
    known: zego::Rooms,
    ahead: VecDeque<Scene>,
}

impl Zego {
    fn next(&mut self, at: UnixMillis) -> Option<Event> {
        if self.ahead.is_empty() {
            self.ahead.extend(self.rooms.next(self.cast.somebody()));
        }
        let Scene { what, person, room } = self.ahead.pop_front()?;
        let name = match what {
            Happening::Created => zego::EventName::RoomCreate,
            Happening::Entered => zego::EventName::RoomLogin,
            Happening::Left => zego::EventName::RoomLogout,
            Happening::Closed => zego::EventName::RoomClose,
        };
        if what == Happening::Entered {
            // 1 is the anchor.
            self.roles[person] = if self.rooms.people[room] == 1 { 1 } else { self.options.role };
        }
        let reason = if what == Happening::Left && self.options.reason == 0 {
            fastrand::choice([0, 0, 0, 1, 2]).unwrap_or_default()
        } else {
            self.options.reason
        };
        let options = zego::Options {
            user: self.cast.user(person),
            room: self.cast.room(room),
            role: self.roles[person],
            reason,
            ..self.options.clone()
        };
        let event = self.known.happen(name, &options, at);
        let is_wanted = self.only.is_none_or(|only| only == name);
        is_wanted.then_some(Event::Zego(event))
    }
}

#[derive(Debug)]
struct Zim {
    options: zego::Options,
    cast: Cast,
    is_online: Vec<bool>,
    known: zim::Sessions,
}

impl Zim {
    fn next(&mut self, at: UnixMillis) -> Event {
        let person = self.cast.somebody();
        let is_online = &mut self.is_online[person];
        *is_online = !*is_online;
        let action = match (*is_online, fastrand::u8(..3)) {
            (true, _) => zim::Action::Login,
            (false, 0) => zim::Action::Offline,
            (false, _) => zim::Action::Logout,
        };
        let os = OS[person % OS.len()].to_owned();
        let common = zego::Options { user: self.cast.user(person), ..self.options.clone() };
        let options = zim::Options { action, os, ..zim::Options::default() };
        Event::Zim(self.known.happen(zim::EventName::UserAction, &common, &options, at))
    }
}

#[derive(Debug)]
struct OpenIm {
    only: Option<openim::EventName>,
    options: openim::Options,
    cast: Cast,
    is_registered: Vec<bool>,
    is_online: Vec<[bool; 2]>,
}

impl OpenIm {
    fn next(&mut self, at: UnixMillis) -> Option<Event> {
        let person = self.cast.somebody();
        let device = fastrand::usize(..2);
        let mut options = openim::Options {
            users: vec![self.cast.user(person)],
            platform: OPENIM_PLATFORMS[(person + device) % OPENIM_PLATFORMS.len()],
            seq: Some(at.0),
            ..self.options.clone()
        };
        let name = if self.is_registered[person] && fastrand::u8(..10) == 0 {
            options.name = Some(format!("{} {}", self.cast.user(person), fastrand::u8(..)));
            fastrand::choice([openim::EventName::UserUpdate, openim::EventName::UserUpdateEx])
                .unwrap_or(openim::EventName::UserUpdate)
        } else if self.is_registered[person] {
            let is_online = &mut self.is_online[person][device];
            // A device that is online is reported again from time to time.
            *is_online = !*is_online || fastrand::u8(..5) == 0;
            if *is_online { openim::EventName::UserOnline } else { openim::EventName::UserOffline }
        } else {
            // Several may be registered at once; the pages show one.
            let most = if options.documented { 1 } else { fastrand::usize(1..=3) };
            let batch = (person..self.cast.people).take(most);
            let new: Vec<usize> = batch.filter(|person| !self.is_registered[*person]).collect();
            options.users = new.iter().map(|person| self.cast.user(*person)).collect();
            options.create_time = at.0;
            for person in new {
                self.is_registered[person] = true;
            }
            openim::EventName::UserRegister
        };
        let event = openim::Event { name, options, now: at };
        let is_wanted = self.only.is_none_or(|only| only == name);
        is_wanted.then_some(Event::OpenIm(event))
    }
}

#[derive(Debug)]
struct Tencent {
    only: Option<tencent::EventName>,
    options: tencent::Options,
    cast: Cast,
    rooms: Rooms,
    roles: Vec<u16>,
    is_online: Vec<[bool; 2]>,
    ahead: VecDeque<Scene>,
}

impl Tencent {
    fn next(&mut self, at: UnixMillis) -> Option<Event> {
        let person = self.cast.somebody();
        let (name, options) = if let Some(scene) = self.ahead.pop_front() {
            self.in_room(scene)
        } else if let Some(room) = self.rooms.whereabouts[person].filter(|_| fastrand::u8(..5) == 0)
        {
            // 20 is an anchor, 21 one of the audience.
            self.roles[person] = 41 - self.roles[person].clamp(20, 21);
            let options = self.options_in_room(person, room);
            let name = match self.product() {
                tencent::Product::Room => tencent::EventName::RoomUpdate,
                _ => tencent::EventName::TrtcRole,
            };
            (name, options)
        } else if fastrand::bool() {
            self.ahead.extend(self.rooms.next(person));
            let scene = self.ahead.pop_front()?;
            self.in_room(scene)
        } else {
            self.on_device(person)
        };
        let options = tencent::Options { time: Some(at.0), ..options };
        let is_wanted = self.only.is_none_or(|only| only == name);
        let event = tencent::Event { name, options, now: at };
        is_wanted.then_some(Event::Tencent(event))
    }

    /// Whose rooms they are: TRTC's, unless an event of another product is asked for.
    fn product(&self) -> tencent::Product {
        self.only.map_or(tencent::Product::Trtc, tencent::EventName::product)
    }

    fn in_room(&mut self, scene: Scene) -> (tencent::EventName, tencent::Options) {
        use tencent::{EventName, Product};

        let Scene { what, person, room } = scene;
        let name = match (self.product(), what) {
            (Product::Room, Happening::Created) => EventName::RoomCreate,
            (Product::Room, Happening::Entered) => EventName::RoomEnter,
            (Product::Room, Happening::Left) => EventName::RoomLeave,
            (Product::Room, Happening::Closed) => EventName::RoomDestroy,
            (Product::Live, Happening::Created) => EventName::LiveCreate,
            (Product::Live, Happening::Entered) => EventName::LiveOnline,
            (Product::Live, Happening::Left) => EventName::LiveOffline,
            (Product::Live, Happening::Closed) => EventName::LiveDestroy,
            (Product::Trtc | Product::Chat, Happening::Created) => EventName::TrtcCreate,
            (Product::Trtc | Product::Chat, Happening::Entered) => EventName::TrtcEnter,
            (Product::Trtc | Product::Chat, Happening::Left) => EventName::TrtcExit,
            (Product::Trtc | Product::Chat, Happening::Closed) => EventName::TrtcDismiss,
        };
        if what == Happening::Entered {
            let is_first = self.rooms.people[room] == 1;
            self.roles[person] = if is_first { 20 } else { self.options.role };
        }
        (name, self.options_in_room(person, room))
    }

    fn options_in_room(&self, person: usize, room: usize) -> tencent::Options {
        let name = self.cast.room(room);
        // Some rooms have numbers.
        let number = u32::try_from(room).ok().filter(|room| room % 3 == 2);
        let number = number.map(|room| self.cast.first_number + room);
        let exit_reason = if self.options.exit_reason == 1 {
            fastrand::choice([1, 1, 1, 2]).unwrap_or(1)
        } else {
            self.options.exit_reason
        };
        tencent::Options {
            user: self.cast.user(person),
            room: name,
            room_number: number,
            role: self.roles[person],
            exit_reason,
            ..self.options.clone()
        }
    }

    fn on_device(&mut self, person: usize) -> (tencent::EventName, tencent::Options) {
        let device = fastrand::usize(..2);
        let platform = |device| CHAT_PLATFORMS[(person + device) % CHAT_PLATFORMS.len()];
        let mut kick = Vec::new();
        let is_online = &mut self.is_online[person];
        let name = if is_online[device] {
            is_online[device] = false;
            if fastrand::u8(..3) == 0 {
                tencent::EventName::ChatDisconnect
            } else {
                tencent::EventName::ChatLogout
            }
        } else {
            is_online[device] = true;
            let other = 1 - device;
            // An app that allows one platform at a time.
            if is_online[other] && fastrand::u8(..4) == 0 {
                is_online[other] = false;
                kick.push(platform(other).to_owned());
            }
            tencent::EventName::ChatLogin
        };
        let options = tencent::Options {
            user: self.cast.user(person),
            platform: platform(device).to_owned(),
            kick,
            ..self.options.clone()
        };
        (name, options)
    }
}

//! Robots: users who are no people, such as recorders. They enter rooms as people do, so an app
//! names them by patterns (`"robots": ["recorder_*"]`), and what is written about them in rooms has
//! the role [`Role::ADMIN`].

use std::collections::HashMap;

use glob::Pattern;

use crate::{
    callback::{AppWarning, AppWarnings, RobotsFault, trim},
    domain::{App, AppId, Change, ProviderName, Role, UserId},
};

/// How many patterns of an app are used.
pub const MAX_PATTERNS: usize = 100;

/// How long a pattern may be, in bytes: as long as an id.
const MAX_BYTES: usize = 255;

/// The robots of one app, by patterns of a whole user id: `*` is any text, `?` any character,
/// `[a-c]` one of these characters, `[!a-c]` any other one.
#[derive(Debug, Clone, Default)]
pub struct Robots(Vec<Pattern>);

impl Robots {
    /// Compiles the patterns of an app, and adds what is odd about them. What cannot be a pattern
    /// is left out: no callback may be lost by it.
    pub(super) fn read(patterns: Vec<String>, warnings: &mut AppWarnings) -> Self {
        if patterns.len() > MAX_PATTERNS {
            warnings.add(AppWarning::TooManyRobots(MAX_PATTERNS));
        }
        let mut robots = Vec::new();
        for (index, text) in patterns.into_iter().take(MAX_PATTERNS).enumerate() {
            let mut warn = |fault| warnings.add(AppWarning::Robots(index + 1, fault));
            let pattern = trim(&text);
            if pattern.is_empty() {
                warn(RobotsFault::Blank);
                continue;
            }
            if pattern.len() > MAX_BYTES {
                warn(RobotsFault::TooLong(MAX_BYTES));
                continue;
            }
            if pattern.len() < text.len() {
                warn(RobotsFault::Surrounded);
            }
            match Pattern::new(pattern) {
                Ok(pattern) => robots.push(pattern),
                Err(error) => {
                    warn(RobotsFault::NoPattern { at: error.pos + 1, why: error.msg });
                }
            }
        }
        Self(robots)
    }

    /// Whether a user is a robot.
    ///
    /// ```
    /// use rollcall::providers::Apps;
    ///
    /// let json = r#"{"zego":{"1":{"callback_secrets":["..."],"robots":["recorder_*"]}}}"#;
    /// let apps = Apps::from_json(json)?;
    /// let robots = apps.robots.values().next().unwrap();
    /// assert!(robots.have(&"recorder_7".parse().unwrap()));
    /// assert!(!robots.have(&"ada".parse().unwrap()));
    /// # Ok::<(), rollcall::providers::AppsError>(())
    /// ```
    #[must_use]
    pub fn have(&self, user: &UserId) -> bool {
        self.0.iter().any(|pattern| pattern.matches(user.as_str()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The robots of all apps that have any.
pub type AllRobots = HashMap<App, Robots>;

/// Takes the robots out of what was read of a provider's apps.
pub(super) fn split<A>(
    provider: ProviderName,
    read: HashMap<AppId, (A, Robots)>,
    all: &mut AllRobots,
) -> HashMap<AppId, A> {
    let apps = read.into_iter().map(|(id, (app, robots))| {
        if !robots.is_empty() {
            all.insert(App { provider, id: id.clone() }, robots);
        }
        (id, app)
    });
    apps.collect()
}

/// Gives each seat of a robot the role of a service, whatever callback reported it.
pub(super) fn mark(robots: &AllRobots, changes: &mut [Change]) {
    if robots.is_empty() {
        return;
    }
    for change in changes {
        if let Change::Seat(seat) = change
            && robots.get(&seat.app).is_some_and(|robots| robots.have(&seat.user))
        {
            seat.mark.role = Role::ADMIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        callback::Provider,
        providers::{Apps, tencent::Chat, zego::Zego},
    };

    fn read(patterns: &[&str]) -> (Robots, Vec<AppWarning>) {
        let mut warnings = AppWarnings::new(Zego::NAME, "1".parse().unwrap());
        let patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
        let robots = Robots::read(patterns, &mut warnings);
        (robots, warnings.list().to_vec())
    }

    #[test]
    fn a_pattern_is_of_a_whole_id() {
        for (pattern, user, is_robot) in [
            ("recorder_*", "recorder_1", true),
            ("recorder_*", "recorder_", true),
            ("recorder_*", "my_recorder_1", false),
            ("recorder_*", "Recorder_1", false),
            ("*_bot", "ada_bot", true),
            ("*_bot", "ada_bot2", false),
            ("r?b", "rüb", true),
            ("r?b", "rb", false),
            ("bot[0-9]", "bot7", true),
            ("bot[!0-9]", "bot7", false),
            ("bot[*]", "bot*", true),
            ("bot[*]", "botanist", false),
            ("*", "ada", true),
            // An id is no path.
            ("a*z", "a/b/z", true),
            ("a?z", "a/z", true),
            ("*.x", ".x", true),
            ("bot", "bot", true),
            ("bot", "bots", false),
        ] {
            let (robots, warnings) = read(&[pattern]);
            assert_eq!(robots.have(&user.parse().unwrap()), is_robot, "{pattern} {user}");
            assert_eq!(warnings, [], "{pattern}");
        }
        let (robots, _) = read(&["a", "b*"]);
        assert_eq!(
            ["a", "bob", "cyd"].map(|user| robots.have(&user.parse().unwrap())),
            [true, true, false]
        );
    }

    #[test]
    fn what_is_no_pattern_is_left_out_and_named_and_the_others_are_used() {
        let long = "x".repeat(256);
        let (robots, warnings) = read(&["", " \u{200b}", &long, "bot[", "a***", " b*\n", "c"]);
        let number = |number, fault| AppWarning::Robots(number, fault);
        let why = "wildcards are either regular `*` or recursive `**`";
        let (range, wildcards) = ("invalid range pattern", why);
        assert_eq!(
            warnings,
            [
                number(1, RobotsFault::Blank),
                number(2, RobotsFault::Blank),
                number(3, RobotsFault::TooLong(255)),
                number(4, RobotsFault::NoPattern { at: 4, why: range }),
                number(5, RobotsFault::NoPattern { at: 4, why: wildcards }),
                number(6, RobotsFault::Surrounded),
            ]
        );
        assert_eq!(
            warnings[3].to_string(),
            "number 4 of an app's `robots` is left out: it is no pattern, by its character 4: \
             invalid range pattern"
        );
        assert_eq!(robots.0.len(), 2);
        assert!(robots.have(&"bob".parse().unwrap()) && robots.have(&"c".parse().unwrap()));
    }

    #[test]
    fn an_app_has_a_bounded_number_of_patterns() {
        let (robots, warnings) = read(&["x"; MAX_PATTERNS]);
        assert_eq!((robots.0.len(), warnings), (MAX_PATTERNS, vec![]));
        let (robots, warnings) = read(&["x"; MAX_PATTERNS + 1]);
        let too_many = AppWarning::TooManyRobots(MAX_PATTERNS);
        assert_eq!((robots.0.len(), warnings), (MAX_PATTERNS, vec![too_many]));
    }

    #[test]
    fn apps_have_their_own_robots_and_openim_has_none() {
        let apps = Apps::from_json(
            r#"{
                "zego": {"1": {"callback_secrets": ["a"], "robots": ["rec*"]},
                         "2": {"callback_secrets": ["a"], "robots": []}},
                "openim": {"main": {"secrets": ["b"], "robots": ["rec*"]}},
                "tencent": {"1": {"trtc_keys": ["c"], "robots": ["bot", "["]},
                            "2": {"trtc_keys": ["c"], "robots": ["["]}}
            }"#,
        )
        .unwrap();
        let mut with_robots: Vec<&App> = apps.robots.keys().collect();
        with_robots.sort();
        let app = |provider| App { provider, id: "1".parse().unwrap() };
        let [zego, tencent] = [Zego::NAME, Chat::NAME].map(app);
        assert_eq!(with_robots, [&zego, &tencent]);
        let user = "recorder".parse().unwrap();
        assert!(apps.robots[&zego].have(&user) && !apps.robots[&tencent].have(&user));
        assert!(Apps::from_json(r#"{"zego":{"1":{"callback_secrets":[],"robots":"x"}}}"#).is_err());
    }

    proptest! {
        /// Any pattern and any user have an answer, and soon.
        #[test]
        fn any_text_is_a_pattern_or_left_out(
            pattern in "[*?a-c\\[\\]!/-]{0,40}|\\PC{0,60}",
            user in "[a-c/*]{1,255}|\\PC{1,60}",
        ) {
            let (robots, _) = read(&[&pattern]);
            if let Ok(user) = user.parse() {
                let _ = robots.have(&user);
            }
        }

        /// A pattern without special characters is the id itself.
        #[test]
        fn a_plain_pattern_is_one_user(user in "[a-z0-9_#@.-]{1,40}", other in "[a-z0-9_#@.-]{1,40}") {
            let (robots, _) = read(&[&user]);
            prop_assert!(robots.have(&user.parse().unwrap()));
            prop_assert_eq!(robots.have(&other.parse().unwrap()), user == other);
        }
    }
}

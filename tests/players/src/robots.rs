//! Robots: users who are no people. The configuration of the apps in which the worlds play names them
//! by patterns.

/// The patterns, as an app's `robots` have them. One of the people of the worlds is a robot.
pub const PATTERNS: [&str; 2] = ["recorder_*", "cy#*"];

/// Whether the patterns name a user.
#[must_use]
pub fn is_robot(user: &str) -> bool {
    PATTERNS.iter().any(|pattern| user.starts_with(pattern.trim_end_matches('*')))
}

//! Kinds of device: three vocabularies, one name for each.

use crate::domain::{IdError, Platform};

/// The platform of that name in `OptPlatform`, in `KickedDevice` or in the REST API. What is not
/// known is kept as it is.
pub(super) fn platform(name: &str) -> Result<Platform, IdError> {
    let known = match name.to_ascii_lowercase().as_str() {
        "ios" | "iphone" => "iOS",
        "android" => "Android",
        "web" => "Web",
        "windows" | "pc" => "Windows",
        "ipad" => "iPad",
        "mac" | "macos" => "Mac",
        "linux" => "Linux",
        "restapi" => "RESTAPI",
        "" | "unknown" | "unkown" => "Unknown",
        _ => name,
    };
    known.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_platform_has_one_name() {
        for (names, platform_name) in [
            (&["iOS", "IOS", "iPhone", "IPhone"][..], "iOS"),
            (&["Mac", "macOS"], "Mac"),
            (&["Unknown", "Unkown", ""], "Unknown"),
            (&["iPad", "IPAD"], "iPad"),
            (&["VisionPro"], "VisionPro"),
        ] {
            for name in names {
                assert_eq!(platform(name).unwrap().as_str(), platform_name);
            }
        }
    }
}

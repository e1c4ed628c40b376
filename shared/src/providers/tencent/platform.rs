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

/// The platform of that name in `query_online_status`, and those which the name may mean as well;
/// `None` if it is not one of that page's names.
#[cfg(feature = "server-api")]
pub(super) fn platform_of_api(name: &str) -> Option<(Platform, Vec<Platform>)> {
    let may_be: &[&str] = match name.to_ascii_lowercase().as_str() {
        "ios" | "iphone" | "ipad" | "android" | "web" | "windows" | "mac" | "macos" | "linux" => {
            &[]
        }
        // That page knows no Linux.
        "pc" => &["Linux"],
        _ => return None,
    };
    let may_be = may_be.iter().filter_map(|name| name.parse().ok());
    Some((platform(name).ok()?, may_be.collect()))
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

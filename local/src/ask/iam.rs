//! Signs queries for IAM (SigV4): in the cloud they need it, callbacks do not.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use reqwest::Method;
use rollcall::{callback::trim, domain::UnixMillis};

/// The credentials of the caller.
#[derive(Debug, Clone)]
pub struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// The credentials of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, for a gateway in
    /// the cloud. The region is the one in its name, else that of `AWS_REGION`. `None`, if it is not one or there are no
    /// credentials: then queries are not signed.
    #[must_use]
    pub fn from_env(url: &str) -> Option<Self> {
        Self::from_variables(url, |name| std::env::var(name).ok())
    }

    /// What surrounds a value, such as the line feed of a file, is not part of it.
    fn from_variables(url: &str, value: impl Fn(&'static str) -> Option<String>) -> Option<Self> {
        let variable = |name| {
            let value = value(name).map(|value| trim(&value).to_owned());
            value.filter(|value| !value.is_empty())
        };
        let host = url.strip_prefix("https://")?;
        let region = region(host).map(str::to_owned).or_else(|| variable("AWS_REGION"))?;
        let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
        let token = variable("AWS_SESSION_TOKEN");
        let credentials = Credentials::new(id, secret, token, None, "environment");
        Some(Self { credentials, region })
    }

    /// The headers that sign a GET without a body.
    ///
    /// # Errors
    ///
    /// If `url` is none.
    pub fn headers(&self, url: &str, now: UnixMillis) -> Result<Vec<(String, String)>, String> {
        self.sign(&Method::GET, url, "", now)
    }

    /// The headers that sign a request with this body.
    ///
    /// # Errors
    ///
    /// If `url` is none.
    pub fn sign(
        &self,
        method: &Method,
        url: &str,
        body: &str,
        now: UnixMillis,
    ) -> Result<Vec<(String, String)>, String> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now.0))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let none = std::iter::empty();
        let request =
            SignableRequest::new(method.as_str(), url, none, SignableBody::Bytes(body.as_bytes()));
        let signed = request.and_then(|request| sign(request, &params));
        let (instructions, _) = signed.map_err(|error| error.to_string())?.into_parts();
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(instructions.headers().map(header).collect())
    }
}

/// The region in the name of an API Gateway: `ID.execute-api.REGION.amazonaws.com`.
fn region(host: &str) -> Option<&str> {
    let mut labels = host.split(['.', '/', ':']);
    labels.find(|label| *label == "execute-api")?;
    labels.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same request, signed by botocore 1.43.
    #[test]
    fn a_query_is_signed_as_botocore_signs_it() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let token = Some("token".to_owned());
        let signer = Signer {
            credentials: Credentials::new("AKIDEXAMPLE", secret, token, None, "test"),
            region: "eu-central-1".to_owned(),
        };
        let url = "https://abc123.execute-api.eu-central-1.amazonaws.com/presence/zego/1/users\
                   ?user=ada-1%20%C3%A9&limit=1000";
        let mut headers = signer.headers(url, UnixMillis(1_795_348_800_000)).unwrap();
        headers.sort();
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=AKIDEXAMPLE/20261122/eu-central-1/execute-api/aws4_request, \
            SignedHeaders=host;x-amz-date;x-amz-security-token, \
            Signature=0d400d15bd90d296b743e951d54f2e0e91868b6ed3a43b73eac70c79e67f45ea";
        let expected = [
            ("authorization", authorization),
            ("x-amz-date", "20261122T120000Z"),
            ("x-amz-security-token", "token"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!format!("{signer:?}").contains(secret));
    }

    #[test]
    fn a_blank_credential_is_none_and_what_surrounds_one_is_not_part_of_it() {
        let url = "https://abc123.execute-api.eu-central-1.amazonaws.com";
        let signer = |id: &'static str, key: &'static str, token: &'static str| {
            let value = move |name: &'static str| {
                let values = [
                    ("AWS_ACCESS_KEY_ID", id),
                    ("AWS_SECRET_ACCESS_KEY", key),
                    ("AWS_SESSION_TOKEN", token),
                ];
                values.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
            };
            Signer::from_variables(url, value)
        };
        let plain = signer("id", "key", "token").unwrap().credentials;
        assert_eq!(plain.session_token(), Some("token"));
        let trimmed = signer("id\r\n", "\u{feff}key\n", " token\n").unwrap().credentials;
        let parts = |credentials: &Credentials| {
            let part = |text: &str| text.to_owned();
            let token = credentials.session_token().map(part);
            (part(credentials.access_key_id()), part(credentials.secret_access_key()), token)
        };
        assert_eq!(parts(&trimmed), parts(&plain));
        for blank in ["", " ", "\n", "\u{a0}"] {
            assert!(signer(blank, "key", "token").is_none());
            assert!(signer("id", blank, "token").is_none());
            assert!(signer("id", "key", blank).unwrap().credentials.session_token().is_none());
        }
    }

    #[test]
    fn the_region_is_in_the_gateway_s_name() {
        let gateway = "abc123.execute-api.eu-central-1.amazonaws.com/zego";
        assert_eq!(region(gateway), Some("eu-central-1"));
        assert_eq!(region("rollcall.example.com"), None);
        assert!(Signer::from_env("http://127.0.0.1:9000").is_none(), "it needs no signature");
    }
}

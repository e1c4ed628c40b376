//! Which certificates are trusted.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::EnvironmentError;

/// The five roots of [Amazon Trust Services](https://www.amazontrust.com/repository/), which the
/// endpoints of AWS chain to.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The number of TLS sessions that are kept for a quicker reconnection: a function calls few hosts.
const SESSIONS: usize = 8;

/// The roots that servers are verified against, as a TLS configuration.
#[derive(Debug, Clone)]
pub struct Trust(pub(super) ClientConfig);

impl Trust {
    /// Amazon's roots. A server whose certificate has another root is verified against the system's
    /// roots, with a warning: reading those takes longer than a callback.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError::Tls`].
    pub fn amazon() -> Result<Self, EnvironmentError> {
        let provider = Arc::new(ring::default_provider());
        let amazon = verifier(parse(AMAZON_ROOTS), &provider)?;
        let verifier = AmazonFirst { amazon, system: OnceLock::new(), provider: provider.clone() };
        Self::with(Arc::new(verifier), provider)
    }

    /// The roots of a PEM file, and no others.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError`] if it cannot be read, or has none.
    pub fn bundle(path: String) -> Result<Self, EnvironmentError> {
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(EnvironmentError::CaBundle { path, source }),
        };
        let provider = Arc::new(ring::default_provider());
        let Ok(verifier) = verifier(parse(&pem), &provider) else {
            return Err(EnvironmentError::NoCertificates { path });
        };
        Self::with(verifier, provider)
    }

    fn with(
        verifier: Arc<dyn ServerCertVerifier>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, EnvironmentError> {
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous() // A custom verifier counts as dangerous, but both of ours are webpki's.
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self(config))
    }
}

fn parse(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).flatten().collect()
}

/// Fails if not one certificate can be used.
fn verifier(
    certificates: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// Verifies against Amazon's roots, and against the system's if the root is unknown.
#[derive(Debug)]
struct AmazonFirst {
    amazon: Arc<WebPkiServerVerifier>,
    system: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    provider: Arc<CryptoProvider>,
}

impl AmazonFirst {
    fn system(&self, server: &ServerName<'_>) -> Option<&Arc<WebPkiServerVerifier>> {
        let read = || {
            tracing::warn!(
                server = %server.to_str(),
                "a server's certificate has none of Amazon's roots: reading the system's, which takes time; \
                 AWS_CA_BUNDLE can name a smaller bundle"
            );
            let certificates = rustls_native_certs::load_native_certs().certs;
            verifier(certificates, &self.provider).ok()
        };
        self.system.get_or_init(read).as_ref()
    }
}

impl ServerCertVerifier for AmazonFirst {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify = |by: &WebPkiServerVerifier| {
            by.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        match verify(&self.amazon) {
            Err(error) if error == unknown => match self.system(server_name) {
                Some(system) => verify(system),
                None => Err(error),
            },
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.amazon.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.amazon.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.amazon.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    /// A new root, and a certificate for `host` that it signed.
    fn own_root(host: &str) -> (CertificateDer<'static>, CertificateDer<'static>) {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
        (root_certificate.der().clone(), leaf.der().clone())
    }

    fn verify(by: &dyn ServerCertVerifier, leaf: &CertificateDer<'_>, host: &str) -> bool {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        by.verify_server_cert(leaf, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn the_roots_are_amazons_five_as_mozilla_has_them() {
        let mozillas = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let ours = parse(AMAZON_ROOTS);
        assert_eq!(ours.len(), 5);
        for name in [
            "Amazon Root CA 1",
            "Amazon Root CA 2",
            "Amazon Root CA 3",
            "Amazon Root CA 4",
            "Starfield Services Root Certificate Authority - G2",
        ] {
            let names = |root: &&CertificateDer<'_>| {
                root.windows(name.len()).any(|part| part == name.as_bytes())
            };
            let root = ours.iter().find(names).unwrap();
            assert!(mozillas.contains(root), "{name} is not Mozilla's");
        }
    }

    #[test]
    fn the_systems_roots_are_used_only_if_amazons_do_not_know_the_issuer() {
        let provider = Arc::new(ring::default_provider());
        let (root, leaf) = own_root("localhost");
        let amazon = verifier(parse(AMAZON_ROOTS), &provider).unwrap();
        let first = |system: Option<Arc<WebPkiServerVerifier>>| AmazonFirst {
            amazon: amazon.clone(),
            system: OnceLock::from(system),
            provider: provider.clone(),
        };
        let system = verifier(vec![root], &provider).unwrap();
        assert!(verify(&first(Some(system.clone())), &leaf, "localhost"));
        assert!(!verify(&first(Some(system)), &leaf, "example.com"));
        assert!(!verify(&first(None), &leaf, "localhost"));
        let (other, _) = own_root("localhost");
        let other = verifier(vec![other], &provider).unwrap();
        assert!(!verify(&first(Some(other)), &leaf, "localhost"));
    }

    #[test]
    fn a_bundle_without_a_certificate_is_an_error() {
        let provider = Arc::new(ring::default_provider());
        assert!(verifier(parse(b"nonsense"), &provider).is_err());
        let missing = Trust::bundle("/nowhere/roots.pem".to_owned());
        assert!(matches!(missing, Err(EnvironmentError::CaBundle { .. })));
    }
}

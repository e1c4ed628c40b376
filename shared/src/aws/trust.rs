//! Whose certificates are believed.

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

/// TLS sessions that are kept for a quicker reconnection: a function talks to few hosts.
const SESSIONS: usize = 8;

/// The roots that servers are verified against, as a TLS configuration.
#[derive(Debug, Clone)]
pub struct Trust(pub(super) ClientConfig);

impl Trust {
    /// Amazon's roots. A server that they do not vouch for is verified against the system's, with
    /// a warning: reading those takes longer than a callback.
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
            .dangerous() // A verifier of one's own is, and both of ours are webpki's.
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

/// Verifies against Amazon's roots, and what they do not know against the system's.
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
                "Amazon's roots do not vouch for a server: reading the system's, which takes time; \
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

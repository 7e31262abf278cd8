//! TLS for the client: whom it believes, and what is said where nobody is to be believed. rustls with ring, named explicitly, so that
//! no other provider in the program can get in the way. Early data stays off: it could be replayed, and nothing is to be sent twice.

use super::wire::Wire;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// Authorities whose certificates are believed.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of this machine, with whatever its owner has added; `SSL_CERT_FILE` names others.
    pub fn platform() -> Result<Trust, String> {
        let found = rustls_native_certs::load_native_certs();
        let trust = Trust::of(found.certs)?;
        trust.ok_or_else(|| {
            let why = found.errors.first().map_or(String::new(), |error| format!(": {error}"));
            format!("this machine has no certificates of authorities{why}")
        })
    }

    /// Those in this text of PEM certificates, and no others.
    pub fn only(pem: &[u8]) -> Result<Trust, String> {
        let read: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let trust = Trust::of(read.map_err(|error| format!("no certificate in PEM: {error}"))?)?;
        trust.ok_or_else(|| "no certificate in PEM: expected `-----BEGIN CERTIFICATE-----`".into())
    }

    /// None where not one of them is of use.
    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Option<Trust>, String> {
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Ok(None);
        }
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let mut config = versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Trust(Arc::new(config))))
    }
}

/// What a connection is made secret with, for one host.
pub struct Tls {
    trust: Trust,
    name: ServerName<'static>,
    host: String,
}

impl Tls {
    pub fn new(trust: Trust, host: &str) -> Result<Tls, String> {
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no name that a certificate could have"))?;
        Ok(Tls { trust, name, host })
    }

    /// The error says what to look at; nothing of a request has gone out then.
    pub async fn secure(&self, stream: Wire) -> Result<TlsStream<Wire>, String> {
        let connected = TlsConnector::from(self.trust.0.clone()).connect(self.name.clone(), stream).await;
        connected.map_err(|error| self.why(&error))
    }

    fn why(&self, error: &io::Error) -> String {
        let host = &self.host;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
                format!("the certificate of {host} is not trusted: no authority that is known here has signed it")
            }
            Some(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                format!("the certificate there is for another name than {host}")
            }
            Some(Error::InvalidCertificate(why)) => format!("the certificate of {host} is not valid: {why}"),
            Some(Error::InvalidMessage(_)) => format!("{host} does not speak TLS there: it may be plain HTTP, and the address begin with http://"),
            _ => format!("no TLS with {host}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Failed, Request};
    use super::*;
    use hyper::Method;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    /// An authority of that name in PEM, and a server's side of TLS with a certificate of it for localhost.
    fn authority(called: &str) -> (String, TlsAcceptor) {
        let (key, server_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, called);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let signed = CertificateParams::new(vec!["localhost".to_string()]).unwrap().signed_by(&server_key, &issuer).unwrap();
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = versions.with_no_client_auth().with_single_cert(vec![signed.der().clone()], key).unwrap();
        (root.pem(), TlsAcceptor::from(Arc::new(config)))
    }

    /// Counts requests over TLS; answers them all but the first, after which it hangs up.
    async fn server(acceptor: TlsAcceptor) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, requests) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut text = Vec::new();
                    while let Ok(byte) = stream.read_u8().await {
                        text.push(byte);
                        if !text.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        text.clear();
                        if count.fetch_add(1, Ordering::SeqCst) == 0 {
                            return;
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    }
                });
            }
        });
        (port, requests)
    }

    fn client(trust: &Trust, url: &str) -> Client {
        Client::trusting(Some(trust), url, 4, Duration::from_secs(5)).unwrap()
    }

    async fn ask(client: &Client) -> Result<u16, Failed> {
        let request = Request { method: Method::POST, path: "/orders".into(), headers: Vec::new(), body: Vec::new() };
        client.send(request).await.map(|answer| answer.status)
    }

    fn block<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn what_was_written_over_tls_is_never_written_again_and_connections_are_kept() {
        block(async {
            let (pem, acceptor) = authority("ours");
            let (port, requests) = server(acceptor).await;
            let client = client(&Trust::only(pem.as_bytes()).unwrap(), &format!("https://localhost:{port}"));
            let first = ask(&client).await;
            assert!(matches!(first, Err(Failed::Broken(_))), "{first:?}");
            assert_eq!(requests.load(Ordering::SeqCst), 1);
            for n in 2..5 {
                assert_eq!(ask(&client).await, Ok(200));
                assert_eq!(requests.load(Ordering::SeqCst), n);
            }
        });
    }

    #[test]
    fn whoever_is_not_to_be_believed_gets_no_request_and_the_error_says_why() {
        block(async {
            let (pem, acceptor) = authority("ours");
            let (port, requests) = server(acceptor).await;
            let [ours, theirs, namesake] = [&pem, &authority("theirs").0, &authority("ours").0].map(|pem| Trust::only(pem.as_bytes()).unwrap());
            let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let plain_port = plain.local_addr().unwrap().port();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = plain.accept().await {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
            for (trust, url, part) in [
                (&theirs, format!("https://localhost:{port}"), "no authority that is known here has signed it"),
                (&namesake, format!("https://localhost:{port}"), "no authority that is known here has signed it"),
                (&ours, format!("https://127.0.0.1:{port}"), "for another name than 127.0.0.1"),
                (&ours, format!("https://localhost:{plain_port}"), "does not speak TLS"),
            ] {
                let failed = ask(&client(trust, &url)).await;
                assert!(matches!(&failed, Err(Failed::Refused(why)) if why.contains(part)), "{url}: {failed:?}");
            }
            let failed = ask(&client(&ours, &format!("http://localhost:{port}"))).await;
            assert!(matches!(&failed, Err(Failed::Broken(why)) if why.contains("https://")), "{failed:?}");
            assert_eq!(requests.load(Ordering::SeqCst), 0);
        });
    }

    #[test]
    fn a_file_without_certificates_is_no_authority() {
        assert!(Trust::only(b"").is_err_and(|why| why.contains("BEGIN CERTIFICATE")));
        assert!(Trust::only(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").is_err());
    }
}

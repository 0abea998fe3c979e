//! TLS by rustls and ring, with mosquitto's openssl on the other side.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{eventually, free, port, publish, said, settings, start, stdout, subscriber};
use broker::{BrokerError, Certificates, Tap, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// An authority, and the certificates that it signs, as PEM files in one folder.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        // openssl takes a certificate for self-signed that is called as its issuer.
        params.distinguished_name.push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `name.pem` and `name.key`.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    fn tls(&self) -> Tls {
        let (cert_file, key_file) = self.sign("server");
        Tls { listen: free(), websocket: None, cert_file, key_file, client_ca_file: None }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn accepts_clients_over_tls_without_a_plain_listener() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut settings = settings(folder.path());
    settings.listen = None;
    settings.tls = Some(authority.tls());
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt over TLS");
    let ca = authority.path("ca.pem");
    // A client that connects and sends nothing must not delay the next.
    let _stalled = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for version in ["mqttv5", "mqttv311"] {
        let arguments = ["-V", version, "--cafile", text(&ca), "-t", "a", "-m", "1", "-q", "1"];
        let sent = tokio::time::timeout(Duration::from_secs(8), publish(port, &arguments)).await.unwrap();
        assert!(sent.status.success(), "{}", said(&sent));
    }
    let other = Authority::new();
    let refused = publish(port, &["--cafile", text(&other.path("ca.pem")), "-t", "a", "-m", "1"]).await;
    assert!(!refused.status.success());
    let mut garbage = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    garbage.write_all(b"no TLS at all").await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn carries_mqtt_over_websocket_over_tls() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut settings = settings(folder.path());
    settings.tls = Some(Tls { listen: None, websocket: free(), ..authority.tls() });
    let broker = start(settings, Tap::default()).await.unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.pem")).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    let url = format!("wss://127.0.0.1:{}/mqtt", port(&broker, "websocket over TLS"));
    let mut options = MqttOptions::new("browser", url, 0);
    options
        .set_transport(rumqttc::Transport::wss_with_config(rumqttc::TlsConfiguration::Rustls(config.into())));
    let (client, mut events) = AsyncClient::new(options, 10);
    client.publish("greeting", QoS::AtLeastOnce, false, "hello").await.unwrap();
    let acknowledged =
        async { while !matches!(events.poll().await.unwrap(), Event::Incoming(Incoming::PubAck(_))) {} };
    tokio::time::timeout(Duration::from_secs(10), acknowledged).await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn requires_a_client_certificate_if_configured() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut settings = settings(folder.path());
    let ca = authority.path("ca.pem");
    settings.tls = Some(Tls { client_ca_file: Some(ca.clone()), ..authority.tls() });
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt over TLS");
    let send = async |extra: &[&str]| {
        let arguments = ["--cafile", text(&ca), "-t", "a", "-m", "1", "-q", "1"];
        publish(port, &[&arguments[..], extra].concat()).await.status.success()
    };
    let (cert, key) = authority.sign("client");
    assert!(send(&["--cert", text(&cert), "--key", text(&key)]).await);
    assert!(!send(&[]).await);
    let (cert, key) = Authority::new().sign("stranger");
    assert!(!send(&["--cert", text(&cert), "--key", text(&key)]).await);
    broker.stop().await;
}

#[tokio::test]
async fn new_connections_get_a_renewed_certificate_and_old_ones_stay() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut settings = settings(folder.path());
    settings.tls = Some(authority.tls());
    let broker = start(settings.clone(), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt over TLS");
    let ca = authority.path("ca.pem");
    let reader = subscriber(port, &["--cafile", text(&ca), "-t", "a", "-C", "1", "-W", "20"]);
    eventually(async || broker.stats().subscriptions == 1).await;

    let other = Authority::new();
    let renewed = other.tls();
    let tls = settings.tls.clone().unwrap();
    std::fs::copy(&renewed.cert_file, &tls.cert_file).unwrap();
    // Half of it: nothing changes.
    assert!(matches!(Certificates::read(&settings), Err(BrokerError::Tls { .. })));
    std::fs::copy(&renewed.key_file, &tls.key_file).unwrap();
    let send =
        async |ca: &Path| publish(port, &["--cafile", text(ca), "-t", "a", "-m", "1", "-q", "1"]).await;
    assert!(!send(&other.path("ca.pem")).await.status.success(), "not before it is read");
    broker.set_certificates(Certificates::read(&settings).unwrap());
    let sent = send(&other.path("ca.pem")).await;
    assert!(sent.status.success(), "{}", said(&sent));
    assert!(!send(&ca).await.status.success());
    let got = reader.wait_with_output().await.unwrap();
    assert_eq!(stdout(&got), "1\n", "the connection before is still there");
    broker.stop().await;
}

#[tokio::test]
async fn says_which_certificate_file_is_wrong() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let attempt = async |change: &dyn Fn(&mut Tls)| {
        let mut tls = authority.tls();
        change(&mut tls);
        let mut settings = settings(folder.path());
        settings.tls = Some(tls);
        start(settings, Tap::default()).await.err().unwrap()
    };
    let missing = attempt(&|tls| tls.cert_file = "/nonexistent.pem".into()).await;
    assert!(matches!(&missing, BrokerError::Certificate { what: "certificate", .. }));
    assert!(missing.to_string().contains("/nonexistent.pem"), "{missing}");
    let no_key = attempt(&|tls| tls.key_file.clone_from(&tls.cert_file)).await;
    assert!(matches!(no_key, BrokerError::Certificate { what: "private key", .. }));
    let (_, other_key) = authority.sign("other");
    let mismatch = attempt(&|tls| tls.key_file.clone_from(&other_key)).await;
    assert!(matches!(mismatch, BrokerError::Tls { .. }), "{mismatch}");
}

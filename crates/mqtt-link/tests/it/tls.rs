//! TLS with a certificate authority of the test, and with a client certificate.

use std::fs;
use std::path::PathBuf;

use mqtt_link::tls::{TlsError, load};
use mqtt_link::{Options, Protocol, Subscriber, Tls};
use rcgen::date_time_ymd;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use testkit::mosquitto::{Mosquitto, free_port};

use super::{BOTH, down, everything, options, up};

/// A certificate authority, and one certificate signed by it, for 127.0.0.1 and for clients.
struct Papers {
    folder: TempDir,
}

impl Papers {
    fn new() -> Self {
        Self::valid(1975, 4096)
    }

    /// The broker's certificate is valid from 1 January of one year to 1 January of another.
    fn valid(from: i32, until: i32) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "the test's authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        certificate.not_before = date_time_ymd(from, 1, 1);
        certificate.not_after = date_time_ymd(until, 1, 1);
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two TLS listeners; `more` applies to both.
    async fn broker(&self, more: &[&str]) -> (Mosquitto, [String; 2]) {
        let line = |word: &str, file: &str| format!("{word} {}", self.path(file).display());
        let papers = [line("cafile", "ca.pem"), line("certfile", "cert.pem"), line("keyfile", "key.pem")];
        let secure: Vec<&str> = papers.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let ws_port = free_port();
        let second = format!("listener {ws_port} 127.0.0.1");
        let broker =
            Mosquitto::start(&[&secure[..], &[&second, "protocol websockets"], &secure].concat()).await;
        let urls = [format!("mqtts://127.0.0.1:{}", broker.port()), format!("wss://127.0.0.1:{ws_port}")];
        (broker, urls)
    }

    fn trusting(&self) -> Tls {
        Tls { ca_file: Some(self.path("ca.pem")), ..Tls::default() }
    }

    fn with_client_certificate(&self) -> Tls {
        Tls {
            cert_file: Some(self.path("cert.pem")),
            key_file: Some(self.path("key.pem")),
            ..self.trusting()
        }
    }
}

fn secure(url: &str, protocol: Protocol, tls: Tls) -> Options {
    let mut options = options(url, protocol, "ears");
    options.tls = tls;
    options
}

#[tokio::test]
async fn connects_with_a_client_certificate_over_tls_and_secure_websockets() {
    let papers = Papers::new();
    let (_broker, urls) = papers.broker(&["require_certificate true"]).await;
    for url in urls {
        for protocol in BOTH {
            let with = secure(&url, protocol, papers.with_client_certificate());
            up(&mut Subscriber::start(with, everything())).await;
            let without = secure(&url, protocol, papers.trusting());
            down(&mut Subscriber::start(without, everything())).await;
        }
    }
}

#[tokio::test]
async fn an_unknown_authority_is_named_as_such() {
    let papers = Papers::new();
    let (_broker, urls) = papers.broker(&[]).await;
    let strangers = Papers::new();
    for url in urls {
        for protocol in BOTH {
            let with = secure(&url, protocol, strangers.trusting());
            let reason = down(&mut Subscriber::start(with, everything())).await;
            assert!(reason.contains("check ca_file"), "{reason}");
        }
    }
}

/// The error for a broker whose certificate is valid between these years.
async fn said_of_a_certificate_valid(from: i32, until: i32) -> Vec<String> {
    let papers = Papers::valid(from, until);
    let (_broker, urls) = papers.broker(&[]).await;
    let mut said = Vec::new();
    for url in urls {
        for protocol in BOTH {
            let with = secure(&url, protocol, papers.trusting());
            said.push(down(&mut Subscriber::start(with, everything())).await);
        }
    }
    said
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_said_to_wait_for_the_clock() {
    for reason in said_of_a_certificate_valid(2096, 2097).await {
        let expected = "the certificate of 127.0.0.1 is not valid before 2096-01-01 00:00 UTC: \
                        this machine's clock says 20";
        assert!(reason.starts_with(expected) && reason.ends_with("UTC; waiting for the clock"), "{reason}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_said_to_be_with_its_date() {
    for reason in said_of_a_certificate_valid(2001, 2002).await {
        assert!(reason.contains("valid until 2002-01-01 00:00 UTC only"), "{reason}");
    }
}

#[tokio::test]
async fn a_broker_that_refuses_our_certificate_is_said_to() {
    let papers = Papers::new();
    let (_broker, [url, _]) = papers.broker(&["require_certificate true"]).await;
    let strangers = Papers::new();
    let own = Tls { ca_file: papers.trusting().ca_file, ..strangers.with_client_certificate() };
    for protocol in BOTH {
        let reason = down(&mut Subscriber::start(secure(&url, protocol, own.clone()), everything())).await;
        assert!(reason.starts_with("the broker refuses our certificate ("), "{reason}");
    }
}

#[tokio::test]
async fn a_missing_file_is_reported_and_tried_again() {
    let papers = Papers::new();
    let (_broker, [url, _]) = papers.broker(&[]).await;
    let late = papers.path("late.pem");
    let tls = Tls { ca_file: Some(late.clone()), ..Tls::default() };
    let with = secure(&url, Protocol::V5, tls);
    let mut subscriber = Subscriber::start(with, everything());
    let reason = down(&mut subscriber).await;
    assert!(reason.contains("late.pem") && reason.contains("PEM"), "{reason}");
    fs::copy(papers.path("ca.pem"), late).unwrap();
    up(&mut subscriber).await;
}

#[test]
fn files_that_do_not_do_are_named() {
    let papers = Papers::new();
    let strangers = Papers::new();
    load(&papers.with_client_certificate()).unwrap();

    let half = Tls { cert_file: Some(papers.path("cert.pem")), ..Tls::default() };
    assert!(matches!(load(&Tls { ca_file: papers.trusting().ca_file, ..half }), Err(TlsError::HalfAPair)));

    let no_key = Tls { key_file: Some(papers.path("cert.pem")), ..papers.with_client_certificate() };
    assert!(matches!(load(&no_key), Err(TlsError::Nothing { what: "private key", .. })));

    let no_certificate = Tls { ca_file: Some(papers.path("key.pem")), ..Tls::default() };
    assert!(matches!(load(&no_certificate), Err(TlsError::Nothing { what: "certificate", .. })));

    let strange_key = Tls { key_file: Some(strangers.path("key.pem")), ..papers.with_client_certificate() };
    assert!(matches!(load(&strange_key), Err(TlsError::Pair { .. })));

    let missing = Tls { ca_file: Some(papers.path("nowhere.pem")), ..Tls::default() };
    assert!(load(&missing).unwrap_err().to_string().contains("nowhere.pem"));
}

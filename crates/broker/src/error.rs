//! The errors at the start of the broker, each with a remedy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::pki_types::pem::Error as PemError;

use crate::{InvalidFilter, InvalidPassword};

/// The broker did not start, and nothing of it keeps running.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No `listen`, `websocket` or `tls` address.
    #[error("the broker has no listener; set `listen`, `websocket` or a TLS address in [broker]")]
    NoListener,
    /// An address cannot be listened on.
    #[error("the broker cannot listen on {address} for {protocol}; {}", bind_remedy(source))]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The protocol of the listener.
        protocol: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The folder of sessions and queues cannot be used.
    #[error(
        "the broker cannot keep its sessions in {}; it must be a writable folder that no other riser uses", path.display()
    )]
    Storage {
        /// The folder.
        path: PathBuf,
        /// The journal's error.
        #[source]
        source: journal::JournalError,
    },
    /// A certificate or key file cannot be used.
    #[error("the broker cannot use {} as its {what}; it must be a readable PEM file", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// `certificate`, `private key` or `client CA`.
        what: &'static str,
        /// The parser's error.
        #[source]
        source: PemError,
    },
    /// Certificate and key do not belong together, or rustls does not support their kind.
    #[error("the broker cannot use the certificate {} with the key {}; they must belong together", cert_file.display(), key_file.display())]
    Tls {
        /// The certificate.
        cert_file: PathBuf,
        /// The key.
        key_file: PathBuf,
        /// rustls's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two users with one name, or none.
    #[error("the broker's user name `{name}` is {problem}; each user needs a name of its own")]
    UserName {
        /// The name.
        name: String,
        /// `empty`, `given twice` or `reserved`.
        problem: &'static str,
    },
    /// A user's password or hash cannot be used.
    #[error("the broker's user `{user}` has no usable password")]
    Password {
        /// The user's name.
        user: String,
        /// The cause.
        #[source]
        source: InvalidPassword,
    },
    /// A permission is not a topic filter.
    #[error("the broker's user `{user}` has a permission that is no topic filter")]
    Filter {
        /// The user's name.
        user: String,
        /// The filter and the cause.
        #[source]
        source: InvalidFilter,
    },
}

fn bind_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program (perhaps mosquitto) listens there: stop it, or choose another port in [broker]"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one",
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: use one of its own, or 0.0.0.0"
        }
        _ => "choose another address in [broker]",
    }
}

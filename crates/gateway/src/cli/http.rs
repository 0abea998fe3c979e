//! `riser http`: opens the web page to the network, and makes its certificate.

mod certificate;
mod enable;
mod files;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

use super::{ConfigArg, Exit, Failure};

/// What to do with the page.
#[derive(Debug, Subcommand)]
pub(crate) enum HttpCommand {
    /// Open the page to the network: with a password, a certificate, and the keys of [http]
    #[command(
        after_help = "Examples:\n  sudo riser http enable\n  riser http enable --config gateway.toml --listen 0.0.0.0:8443\n\nWrites http.password (the hash of a new password), http.pem and http.key beside the configuration, where they are not\nthere yet, changes [http] in it, and has a running gateway take it over. The password is printed once."
    )]
    Enable {
        #[command(flatten)]
        config: ConfigArg,
        /// Address and port
        #[arg(long, default_value = "0.0.0.0:8090")]
        listen: SocketAddr,
        /// Make a new password where there is one already
        #[arg(long)]
        new_password: bool,
    },
    /// Make a certificate of our own for the page
    #[command(
        after_help = "Examples:\n  riser http certificate\n  riser http certificate --name riser.example.com --output /etc/riser\n\nBrowsers warn of such a certificate once: compare its fingerprint with what is printed here. It is valid for the names and\naddresses of this machine, and for 800 days."
    )]
    Certificate {
        /// A further name or address that it is for; may be given again
        #[arg(long, value_name = "NAME")]
        name: Vec<String>,
        /// The folder for http.pem and http.key
        #[arg(long, value_name = "DIR", default_value = ".")]
        output: PathBuf,
        /// Replace files that are there
        #[arg(long)]
        force: bool,
    },
}

pub(crate) fn http(command: HttpCommand) -> Result<Exit, Failure> {
    match command {
        HttpCommand::Enable { config, listen, new_password } => enable::enable(&config, listen, new_password),
        HttpCommand::Certificate { name, output, force } => certificate::certificate(&name, &output, force),
    }
}

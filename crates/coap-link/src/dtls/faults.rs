//! What a fault of `dimpl` means for a handshake or a session, and what the peer is told.

use dimpl::{Error, SecurityError};

use super::half_open::Asked;
use super::outcome::{Closing, Refusal};
use super::record;
use super::session::Fault;

/// What a fault of a handshake means, by what the client has shown.
pub(super) fn of_clients_handshake(fault: Fault, asked: Option<&Asked>) -> Refusal {
    let error = match fault {
        Fault::Panicked => return Refusal::Panicked,
        Fault::Failed(error) => error,
    };
    match (error, asked) {
        (Error::Timeout(_), _) => Refusal::Timeout,
        (Error::SecurityError(SecurityError::FatalAlert { description }), _) => {
            Refusal::Alert { description }
        }
        (Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated), _) => {
            Refusal::NoExtendedMasterSecret
        }
        // Whatever goes wrong once keys are in use is their doing.
        (Error::CryptoError(_) | Error::SecurityError(_), Some(asked)) if asked.known => Refusal::WrongKey,
        (Error::CryptoError(_) | Error::SecurityError(_), Some(_)) => Refusal::UnknownIdentity,
        (error, _) => Refusal::Broken { what: error.to_string() },
    }
}

/// The alert that goes with a refusal. Only a client that has shown its address gets any.
pub(super) const fn alert_for(reason: &Refusal) -> Option<u8> {
    match reason {
        // RFC 4279, 2: an unknown identity may look like a wrong key.
        Refusal::UnknownIdentity | Refusal::WrongKey => Some(record::DECRYPT_ERROR),
        Refusal::NoCommonSuite | Refusal::NoExtendedMasterSecret | Refusal::Broken { .. } => {
            Some(record::HANDSHAKE_FAILURE)
        }
        Refusal::Full | Refusal::Panicked => Some(record::INTERNAL_ERROR),
        Refusal::Alert { .. } | Refusal::Timeout | Refusal::Crowded => None,
    }
}

/// What a fault of a session that stood means.
pub(super) fn of_session(fault: Fault) -> Closing {
    match fault {
        Fault::Panicked => Closing::Panicked,
        Fault::Failed(error) => Closing::Broken { what: error.to_string() },
    }
}

/// What a fault of our handshake means.
pub(super) fn of_our_handshake(fault: Fault) -> Refusal {
    match fault {
        Fault::Panicked => Refusal::Panicked,
        Fault::Failed(Error::Timeout(_)) => Refusal::Timeout,
        Fault::Failed(Error::SecurityError(SecurityError::FatalAlert { description })) => {
            Refusal::Alert { description }
        }
        Fault::Failed(Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated)) => {
            Refusal::NoExtendedMasterSecret
        }
        // The server's Finished cannot be read: it has other keys than we.
        Fault::Failed(Error::CryptoError(_)) => Refusal::WrongKey,
        Fault::Failed(error) => Refusal::Broken { what: error.to_string() },
    }
}

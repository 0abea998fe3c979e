//! Translates errors of `dimpl` into the reason of a failed handshake or session, and into the alert for the peer.

use dimpl::{Error, SecurityError};

use super::handshakes::ClaimedIdentity;
use super::output::{CloseReason, HandshakeFailure};
use super::record;
use super::session::SessionError;

/// The failure of a client's handshake, by the identity it has shown.
pub(super) fn client_handshake_failure(
    error: SessionError,
    claim: Option<&ClaimedIdentity>,
) -> HandshakeFailure {
    let error = match error {
        SessionError::Panicked => return HandshakeFailure::Panicked,
        SessionError::Failed(error) => error,
    };
    match (error, claim) {
        (Error::Timeout(_), _) => HandshakeFailure::Timeout,
        (Error::SecurityError(SecurityError::FatalAlert { description }), _) => {
            HandshakeFailure::Alert { description }
        }
        (Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated), _) => {
            HandshakeFailure::NoExtendedMasterSecret
        }
        // Errors after the keys are in use are caused by the keys.
        (Error::CryptoError(_) | Error::SecurityError(_), Some(claim)) if claim.known => {
            HandshakeFailure::WrongKey
        }
        (Error::CryptoError(_) | Error::SecurityError(_), Some(_)) => HandshakeFailure::UnknownIdentity,
        (error, _) => HandshakeFailure::Broken { what: error.to_string() },
    }
}

/// The alert for a failure. Only a client with a verified address gets one.
pub(super) const fn alert_for(reason: &HandshakeFailure) -> Option<u8> {
    match reason {
        // RFC 4279, 2: an unknown identity may look like a wrong key.
        HandshakeFailure::UnknownIdentity | HandshakeFailure::WrongKey => Some(record::DECRYPT_ERROR),
        HandshakeFailure::NoCommonSuite
        | HandshakeFailure::NoExtendedMasterSecret
        | HandshakeFailure::Broken { .. } => Some(record::HANDSHAKE_FAILURE),
        HandshakeFailure::Full | HandshakeFailure::Panicked => Some(record::INTERNAL_ERROR),
        HandshakeFailure::Alert { .. } | HandshakeFailure::Timeout | HandshakeFailure::Crowded => None,
    }
}

/// The reason of a session's end.
pub(super) fn close_reason(error: SessionError) -> CloseReason {
    match error {
        SessionError::Panicked => CloseReason::Panicked,
        SessionError::Failed(error) => CloseReason::Broken { what: error.to_string() },
    }
}

/// The failure of our own handshake with a server.
pub(super) fn server_handshake_failure(error: SessionError) -> HandshakeFailure {
    match error {
        SessionError::Panicked => HandshakeFailure::Panicked,
        SessionError::Failed(Error::Timeout(_)) => HandshakeFailure::Timeout,
        SessionError::Failed(Error::SecurityError(SecurityError::FatalAlert { description })) => {
            HandshakeFailure::Alert { description }
        }
        SessionError::Failed(Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated)) => {
            HandshakeFailure::NoExtendedMasterSecret
        }
        // The server's Finished cannot be decrypted: it has another key.
        SessionError::Failed(Error::CryptoError(_)) => HandshakeFailure::WrongKey,
        SessionError::Failed(error) => HandshakeFailure::Broken { what: error.to_string() },
    }
}

//! The AES operations of LoRaWAN 1.0.x: message integrity codes, payload encryption, session keys, join accepts. The ciphers
//! come from crate `lorawan`; sections refer to LoRaWAN 1.0.4.

use lorawan::default_crypto::DefaultFactory;
use lorawan::keys::{CryptoFactory, Decrypter, Encrypter, Mac};

use crate::ids::{DevAddr, NetId};
use crate::key::Key;

/// A message integrity code.
pub(crate) type Mic = [u8; 4];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up = 0,
    Down = 1,
}

/// The inputs of the MIC and the encryption of a data frame, besides the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) direction: Direction,
    pub(crate) address: DevAddr,
    pub(crate) f_cnt: u32,
}

impl Scope {
    /// The common part of the blocks B0 and Ai.
    fn block(self, first: u8, last: u8) -> [u8; 16] {
        let [a0, a1, a2, a3] = self.address.to_le_bytes();
        let [c0, c1, c2, c3] = self.f_cnt.to_le_bytes();
        [first, 0, 0, 0, 0, self.direction as u8, a0, a1, a2, a3, c0, c1, c2, c3, 0, last]
    }
}

/// The MIC of a data frame (4.4); `frame` is everything before the MIC, at most 255 bytes.
pub(crate) fn data_mic(key: &Key, scope: Scope, frame: &[u8]) -> Mic {
    cmac(key, &[&scope.block(0x49, u8::try_from(frame.len()).unwrap_or(u8::MAX)), frame])
}

/// Encrypts or decrypts an FRMPayload (4.3.3), of 255 blocks at most.
pub(crate) fn crypt(key: &Key, scope: Scope, payload: &mut [u8]) {
    let cipher = DefaultFactory.new_enc(&key.expose());
    for (number, chunk) in (1_u8..=u8::MAX).zip(payload.chunks_mut(16)) {
        let mut stream = scope.block(0x01, number).into();
        cipher.encrypt_block(&mut stream);
        for (byte, key_byte) in chunk.iter_mut().zip(stream) {
            *byte ^= key_byte;
        }
    }
}

/// The MIC of a join request or accept (6.2.4, 6.2.5).
pub(crate) fn join_mic(app_key: &Key, frame: &[u8]) -> Mic {
    cmac(app_key, &[frame])
}

/// Encrypts a join accept behind its MHDR: with AES decryption, so that a node needs encryption alone (6.2.5).
pub(crate) fn encrypt_accept(app_key: &Key, body: &mut [u8]) {
    let cipher = DefaultFactory.new_dec(&app_key.expose());
    let (blocks, _) = body.as_chunks_mut::<16>();
    for bytes in blocks {
        let mut block = (*bytes).into();
        Decrypter::decrypt_block(&cipher, &mut block);
        *bytes = block.into();
    }
}

/// NwkSKey and AppSKey (6.2.5).
pub(crate) fn session_keys(app_key: &Key, app_nonce: [u8; 3], net_id: NetId, dev_nonce: u16) -> (Key, Key) {
    let cipher = DefaultFactory.new_enc(&app_key.expose());
    let [n0, n1, n2] = net_id.to_le_bytes();
    let [d0, d1] = dev_nonce.to_le_bytes();
    let [a0, a1, a2] = app_nonce;
    let derive = |first| {
        let mut block = [first, a0, a1, a2, n0, n1, n2, d0, d1, 0, 0, 0, 0, 0, 0, 0].into();
        cipher.encrypt_block(&mut block);
        Key::new(block.into())
    };
    (derive(1), derive(2))
}

fn cmac(key: &Key, parts: &[&[u8]]) -> Mic {
    let mut mac = DefaultFactory.new_mac(&key.expose());
    for part in parts {
        mac.input(part);
    }
    let mut mic = Mic::default();
    for (byte, code) in mic.iter_mut().zip(mac.result()) {
        *byte = code;
    }
    mic
}

//! The encryption of MiBeacon 2 and 3: AES-CCM without a tag that could be checked.
//!
//! The key has 12 bytes; four fixed ones in its middle make it 16. The nonce is the frame's first 5 bytes, the counter
//! (3 bytes before the last one), and the last 5 bytes of the address, reversed.

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};
use zeroize::Zeroizing;

use super::super::keys::{Address, BindKey, MAX_TEXT, Plain};
use super::super::{BleProblem, Bytes};

const MIDDLE: [u8; 4] = [0x8d, 0x3d, 0x3c, 0x97];
/// Of CCM with a nonce of 13 bytes: a length of 2.
const FLAGS: u8 = 1;

pub(super) fn open(
    rest: Bytes<'_>,
    head: &[u8; 5],
    address: Address,
    key: &BindKey,
) -> Result<Plain, BleProblem> {
    let text = rest.len().checked_sub(4).ok_or(BleProblem::TooShort)?;
    let mut whole = Zeroizing::new([0_u8; 16]);
    match key.twelve() {
        Ok(key) => {
            let (first, last) = key.split_at_checked(6).ok_or(BleProblem::TooShort)?;
            for (to, from) in whole.iter_mut().zip(first.iter().chain(&MIDDLE).chain(last)) {
                *to = *from;
            }
        }
        Err(_) => *whole = *key.sixteen()?,
    }
    let reversed = address.reversed();
    let nonce = head.iter().chain(rest.part(text, 3)?.0).chain(reversed.iter().take(5));
    let mut block = [FLAGS; 16];
    for (to, from) in block.iter_mut().skip(1).zip(nonce) {
        *to = *from;
    }
    let plain = decrypt(&Aes128::new((&*whole).into()), block, rest.part(0, text)?)?;
    if is_objects(Bytes(plain.bytes())) { Ok(plain) } else { Err(BleProblem::WrongKey) }
}

/// Counter mode from 1 on, as CCM has it.
fn decrypt(cipher: &Aes128, mut block: [u8; 16], text: Bytes<'_>) -> Result<Plain, BleProblem> {
    let mut plain = [0_u8; MAX_TEXT];
    if text.len() > MAX_TEXT {
        return Err(BleProblem::Layout("its text is too long"));
    }
    for (counter, (to, from)) in (1_u16..).zip(plain.chunks_mut(16).zip(text.0.chunks(16))) {
        let [high, low] = counter.to_be_bytes();
        block[14] = high;
        block[15] = low;
        let mut stream = Block::from(block);
        cipher.encrypt_block(&mut stream);
        for ((to, from), key) in to.iter_mut().zip(from).zip(stream) {
            *to = from ^ key;
        }
    }
    Ok(Plain::new(plain, text.len()))
}

/// Whether it is a list of objects to the last byte: of wrong keys, hardly one in a thousand makes one.
fn is_objects(data: Bytes<'_>) -> bool {
    let mut rest = data;
    while !rest.is_empty() {
        let Ok(length) = rest.u8(2) else { return false };
        let Ok(behind) = rest.from(3 + usize::from(length)) else { return false };
        rest = behind;
    }
    true
}

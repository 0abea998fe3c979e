//! Over-the-air activation (LoRaWAN 1.0.4, section 6.2): verifies join requests and builds join accepts.
//!
//! The accept is sent only after the host has stored the session. Otherwise a device could use a session that its network
//! has lost.

use crate::crypto::{encrypt_accept, join_mic, session_keys};
use crate::device::{DEV_NONCES, DeviceState, Otaa};
use crate::downlink::Window;
use crate::frame::JoinRequest;
use crate::ids::{DevAddr, NetId};
use crate::reason::Reason;
use crate::session::{RxParameters, Session};

/// The last AppNonce: it has 24 bits.
const LAST_APP_NONCE: u32 = (1 << 24) - 1;

/// A join accept that waits until its session is stored.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) serial: u64,
    pub(crate) window: Window,
    pub(crate) accept: Vec<u8>,
}

/// The parameters of a join accept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JoinParameters {
    pub(crate) net_id: NetId,
    pub(crate) address: DevAddr,
    pub(crate) rx: RxParameters,
    pub(crate) cf_list: Option<[u8; 16]>,
}

/// Verifies a request. Its DevNonce counts as used from then on.
pub(crate) fn check(request: &JoinRequest<'_>, otaa: &Otaa, state: &mut DeviceState) -> Result<(), Reason> {
    if request.join_eui != otaa.join_eui {
        return Err(Reason::JoinEui);
    }
    if join_mic(&otaa.app_key, request.signed) != request.mic {
        return Err(Reason::Mic);
    }
    if state.dev_nonces.contains(&request.dev_nonce) {
        return Err(Reason::DevNonce);
    }
    while state.dev_nonces.len() >= DEV_NONCES {
        state.dev_nonces.pop_front();
    }
    state.dev_nonces.push_back(request.dev_nonce);
    Ok(())
}

/// Creates a session and the accept for it. `None` if the AppNonces of the device are used up.
pub(crate) fn accept(
    otaa: &Otaa,
    state: &mut DeviceState,
    dev_nonce: u16,
    terms: JoinParameters,
) -> Option<Vec<u8>> {
    let number = state.app_nonces.checked_add(1).filter(|number| *number <= LAST_APP_NONCE)?;
    state.app_nonces = number;
    let [n0, n1, n2, _] = number.to_le_bytes();
    let app_nonce = [n0, n1, n2];
    let (nwk_s_key, app_s_key) = session_keys(&otaa.app_key, app_nonce, terms.net_id, dev_nonce);
    state.offered = Some(Session::new(terms.address, nwk_s_key, app_s_key, None, terms.rx));
    let mut phy = vec![0x20];
    phy.extend(app_nonce);
    phy.extend(terms.net_id.to_le_bytes());
    phy.extend(terms.address.to_le_bytes());
    phy.extend([(terms.rx.rx1_offset & 7) << 4 | terms.rx.rx2_data_rate & 15, terms.rx.delay & 15]);
    phy.extend(terms.cf_list.into_iter().flatten());
    phy.extend(join_mic(&otaa.app_key, &phy));
    encrypt_accept(&otaa.app_key, phy.get_mut(1..)?);
    Some(phy)
}

#[cfg(test)]
mod tests {
    use lorawan::creator::JoinRequestCreator;
    use lorawan::keys::AppKey;
    use lorawan::parser::{DecryptedJoinAcceptPayload, DevNonce};

    use super::*;
    use crate::frame::Frame;
    use crate::ids::Eui;
    use crate::key::Key;
    use crate::region::Region;

    fn otaa() -> Otaa {
        Otaa { join_eui: Eui::new(0x0102_0304_0506_0708), app_key: Key::new([7; 16]) }
    }

    fn request(dev_nonce: u16, app_key: [u8; 16]) -> Vec<u8> {
        let mut request = JoinRequestCreator::new();
        request
            .set_app_eui(&[8, 7, 6, 5, 4, 3, 2, 1])
            .set_dev_eui(&[1; 8])
            .set_dev_nonce(&dev_nonce.to_le_bytes());
        request.build(&AppKey::from(app_key)).to_vec()
    }

    fn check_bytes(phy: &[u8], state: &mut DeviceState) -> Result<(), Reason> {
        let Frame::JoinRequest(request) = Frame::parse(phy).unwrap() else { panic!("a join request") };
        check(&request, &otaa(), state)
    }

    #[test]
    fn a_nonce_is_good_once_and_none_is_used_up_by_a_forged_request() {
        let mut state = DeviceState::default();
        assert_eq!(check_bytes(&request(1, [8; 16]), &mut state), Err(Reason::Mic));
        assert_eq!(check_bytes(&request(1, [7; 16]), &mut state), Ok(()));
        assert_eq!(check_bytes(&request(1, [7; 16]), &mut state), Err(Reason::DevNonce));
        for nonce in 2..1_000 {
            assert_eq!(check_bytes(&request(nonce, [7; 16]), &mut state), Ok(()));
        }
        assert_eq!(state.dev_nonces.len(), DEV_NONCES);
    }

    #[test]
    fn a_device_reads_the_accept_and_derives_the_keys_of_the_session() {
        let rx = RxParameters { delay: 5, rx1_offset: 2, ..RxParameters::of(Region::Eu868) };
        let address = "26011bda".parse().unwrap();
        let cf_list = Region::Eu868.cf_list(None);
        let net_id = "000013".parse().unwrap();
        let mut state = DeviceState { app_nonces: 0x0102, ..DeviceState::default() };
        let phy =
            accept(&otaa(), &mut state, 0x1234, JoinParameters { net_id, address, rx, cf_list }).unwrap();
        let key = AppKey::from([7; 16]);
        let accept = DecryptedJoinAcceptPayload::new(phy, &key).expect("its MIC is right");
        assert_eq!((accept.rx_delay(), accept.dl_settings().raw_value()), (5, 0x20));
        assert_eq!(accept.dev_addr().as_ref(), [0xda, 0x1b, 0x01, 0x26]);
        assert_eq!(
            (accept.app_nonce().as_ref(), accept.net_id().as_ref()),
            (&[3, 1, 0][..], &[0x13, 0, 0][..])
        );
        assert!(accept.c_f_list().is_some());
        let nonce = DevNonce::new([0x34, 0x12]).unwrap();
        let offered = state.offered.unwrap();
        assert_eq!(*accept.derive_newskey(&nonce, &key).inner(), offered.nwk_s_key.expose());
        assert_eq!(*accept.derive_appskey(&nonce, &key).inner(), offered.app_s_key.expose());
    }

    #[test]
    fn the_last_nonce_of_the_network_is_the_last() {
        let rx = RxParameters::of(Region::Us915);
        let terms = JoinParameters { net_id: NetId::default(), address: DevAddr::new(1), rx, cf_list: None };
        let mut state = DeviceState { app_nonces: LAST_APP_NONCE - 1, ..DeviceState::default() };
        assert_eq!(accept(&otaa(), &mut state, 1, terms).unwrap().len(), 17);
        assert_eq!(accept(&otaa(), &mut state, 2, terms), None);
    }
}

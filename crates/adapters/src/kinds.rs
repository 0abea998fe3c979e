//! The kinds of adapters that there are: the only list of them.

use std::marker::PhantomData;

use crate::adapters::{KindInfo, Registered};
use crate::{ble, coap, lorawan, mqtt, serial, tcp};

/// Every kind, in the order of the reference.
#[must_use]
pub fn all() -> &'static [&'static dyn KindInfo] {
    &[
        &Registered::<mqtt::Mqtt>(PhantomData),
        &Registered::<coap::Coap>(PhantomData),
        &Registered::<lorawan::Lorawan>(PhantomData),
        &Registered::<ble::Ble>(PhantomData),
        &Registered::<serial::Serial>(PhantomData),
        &Registered::<tcp::Tcp>(PhantomData),
    ]
}

//! The values of gateway.toml that are more than text: what is read is written such that it is read again as the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use gateway_core::Timestamp;
use gateway_core::settings::{ByteSize, HumanDuration};
use mqtt_link::BrokerUrl;

pub(crate) fn run(data: &[u8]) {
    let text = riser_fuzz::text(data);
    there_and_back::<HumanDuration>(text);
    there_and_back::<ByteSize>(text);
    there_and_back::<BrokerUrl>(text);
    there_and_back::<Timestamp>(text);
}

fn there_and_back<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().expect("what it wrote itself"), value);
    }
}

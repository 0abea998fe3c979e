//! Where results go.

pub mod upstream_mqtt;

//! Both ends against each other, over a net that loses, repeats and reorders, and against hostile bytes.

mod handshake;
mod net;

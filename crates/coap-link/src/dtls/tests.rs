//! Both ends against each other, over a net that loses, repeats and reorders, and against hostile bytes.

mod bounds;
mod handshake;
mod hostile;
mod lossy;
mod net;
mod restart;

//! A site's turns, without a socket and without waiting. The network is this test.

//! A building that does not exist, sending real traffic.

//! Windows over readings, sans-IO.

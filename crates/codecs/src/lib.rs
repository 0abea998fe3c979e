//! Bytes to measurements, a file per format.

//! Bluetooth Low Energy through BlueZ.

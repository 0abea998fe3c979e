//! Alert rules and their state: pending, raised, cleared.

//! For tests only: a real broker on a free port, a clock that tests move.

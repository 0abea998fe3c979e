//! A durable, bounded queue of what is to be sent.

//! How often the same failure is told.

use std::time::Duration;

use tokio::time::advance;

use super::{REMIND_AFTER, Told};
use crate::link::LinkError;

fn refused() -> LinkError {
    LinkError::new("connection refused")
}

#[tokio::test(start_paused = true)]
async fn the_same_failure_is_told_again_every_few_minutes_only() {
    let mut told = Told::default();
    assert!(told.is_news(&refused()));
    for _ in 0..3 {
        assert!(!told.is_news(&refused()));
        advance(REMIND_AFTER - Duration::from_secs(1)).await;
        assert!(!told.is_news(&refused()));
        advance(Duration::from_secs(1)).await;
        assert!(told.is_news(&refused()));
    }
}

#[tokio::test(start_paused = true)]
async fn another_failure_is_told_at_once() {
    let mut told = Told::default();
    let unknown = LinkError::new("no such host");
    for error in [&refused(), &unknown, &refused()] {
        assert!(told.is_news(error));
        assert!(!told.is_news(error));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_is_always_told() {
    let mut told = Told::default();
    let ended = || LinkError { was_connected: true, ..refused() };
    assert!(told.is_news(&ended()));
    assert!(told.is_news(&ended()));
    assert!(!told.is_news(&refused()), "an attempt that fails for the reason that ended the connection");
}

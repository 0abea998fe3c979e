//! How often the same failure is reported.

use std::time::Duration;

use tokio::time::advance;

use super::{FailureFilter, REPEAT_AFTER};
use crate::link::LinkError;

fn refused() -> LinkError {
    LinkError::new("connection refused")
}

#[tokio::test(start_paused = true)]
async fn the_same_failure_is_told_again_every_few_minutes_only() {
    let mut reported = FailureFilter::default();
    assert!(reported.should_report(&refused()));
    for _ in 0..3 {
        assert!(!reported.should_report(&refused()));
        advance(REPEAT_AFTER - Duration::from_secs(1)).await;
        assert!(!reported.should_report(&refused()));
        advance(Duration::from_secs(1)).await;
        assert!(reported.should_report(&refused()));
    }
}

#[tokio::test(start_paused = true)]
async fn another_failure_is_told_at_once() {
    let mut reported = FailureFilter::default();
    let unknown = LinkError::new("no such host");
    for error in [&refused(), &unknown, &refused()] {
        assert!(reported.should_report(error));
        assert!(!reported.should_report(error));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_is_always_told() {
    let mut reported = FailureFilter::default();
    let ended = || LinkError { was_connected: true, ..refused() };
    assert!(reported.should_report(&ended()));
    assert!(reported.should_report(&ended()));
    assert!(
        !reported.should_report(&refused()),
        "an attempt that fails for the reason that ended the connection"
    );
}

//! Waits for a condition, instead of sleeping for a fixed time.

use std::panic::Location;
use std::time::Duration;

/// Waits until `condition` holds; checks it every 10 ms.
///
/// # Panics
/// It does not hold `within` that time; the message has the caller's line.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(
    within: Duration,
    mut condition: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let holds = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(within, holds).await.is_err() {
            panic!("the condition at {caller} did not come true within {within:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_when_the_condition_comes_true() {
        let mut asked = 0;
        eventually(Duration::from_secs(5), || {
            asked += 1;
            std::future::ready(asked == 3)
        })
        .await;
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "did not come true")]
    async fn panics_when_it_does_not() {
        eventually(Duration::from_millis(30), || std::future::ready(false)).await;
    }
}

//! Turns a panic of a future into an error, so that it ends only that future.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `future`; `Err` is what it panicked with. What it borrowed may be half changed then: let it be something that
/// is thrown away, or that keeps no promise over more than one call.
///
/// # Errors
/// Where it panicked.
pub async fn guarded<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panic) => Poll::Ready(Err(message(&*panic))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it said nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_was_said() {
        let poll = |mut future: std::pin::Pin<&mut dyn Future<Output = Result<u8, String>>>| {
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(poll(pin!(guarded(async { 7 }))), Poll::Ready(Ok(7)));
        let number = 3;
        let panicking = pin!(guarded(async move { if number > 2 { panic!("number {number}") } else { 7 } }));
        assert_eq!(poll(panicking), Poll::Ready(Err("number 3".to_owned())));
    }
}

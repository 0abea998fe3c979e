//! Runs a test in a separate process, for tests that measure the whole process.

use std::process::Command;

/// Set in the processes that [`alone`] starts.
const ALONE: &str = "RISER_TEST_ALONE";

/// Runs `test` in a separate process: this program again, with no other test. `name` is the test's full name, as in
/// `cargo test -- --list`. Its output is printed here.
///
/// # Panics
/// The test fails there, or no test has this name.
pub fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|running| running == name) {
        return test();
    }
    let program = std::env::current_exe().expect("the path of the program that runs");
    let child = Command::new(program)
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(ALONE, name)
        .output()
        .expect("the program can be started again");
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{name} failed in its own process: {}\n{out}{err}", child.status);
    assert!(out.contains("1 passed"), "no test is called {name}: {out}");
    show(&out);
}

#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn show(out: &str) {
    println!("{out}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_runs_in_the_other_process_only() {
        let mut ran = false;
        alone("alone::tests::the_test_runs_in_the_other_process_only", || ran = true);
        assert_eq!(ran, std::env::var_os(ALONE).is_some());
    }

    #[test]
    #[should_panic(expected = "failed in its own process")]
    fn what_fails_there_fails_here() {
        alone("alone::tests::what_fails_there_fails_here", || panic!("as it should"));
    }

    #[test]
    #[should_panic(expected = "no test is called")]
    fn a_name_that_no_test_has_fails() {
        alone("alone::tests::no_such_test", || ());
    }
}

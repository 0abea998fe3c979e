//! The memory of the test's process.

/// Resident memory in bytes (`/proc/self/status`, proc(5)).
///
/// # Panics
/// The kernel does not report it.
#[must_use]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel reports VmRSS");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB");
    kib * 1024
}

//! Who holds a port: whether it is the gateway that runs with this `data_dir` (proc(5)).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use gateway_core::listener::Transport;

/// States in `/proc/net`: TCP_LISTEN, and that of a UDP socket that is not connected.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Whether the gateway of `data_dir` runs and holds the port. Where another user's processes cannot be looked at, that it runs
/// is enough.
pub(super) fn is_held_by_gateway(data_dir: &Path, transport: Transport, port: u16) -> bool {
    if UnixStream::connect(data_dir.join("riser.sock")).is_err() {
        return false;
    }
    let files = match transport {
        Transport::Tcp => [("/proc/net/tcp", LISTENS), ("/proc/net/tcp6", LISTENS)],
        Transport::Udp => [("/proc/net/udp", UNCONNECTED), ("/proc/net/udp6", UNCONNECTED)],
    };
    let table = |(file, state)| sockets(&fs::read_to_string(file).unwrap_or_default(), state, port);
    let sockets: BTreeSet<PathBuf> = files.into_iter().flat_map(table).collect();
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    let mut holders = processes().filter(|open| open.iter().any(|file| sockets.contains(file))).peekable();
    // It holds the locks of its folders as long as it runs.
    holders.peek().is_none() || holders.any(|open| open.iter().any(|file| file.starts_with(&data_dir)))
}

/// The sockets of a port as they are named in `/proc/PID/fd`.
fn sockets(table: &str, state: &str, port: u16) -> Vec<PathBuf> {
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let (_, local_port) = local.rsplit_once(':')?;
        let is_it = fields.nth(1)? == state && u16::from_str_radix(local_port, 16).ok()? == port;
        let inode = fields.nth(5)?;
        is_it.then(|| PathBuf::from(format!("socket:[{inode}]")))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// What each process has open, of those that this user may look at.
fn processes() -> impl Iterator<Item = Vec<PathBuf>> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path().join("fd"));
    folders.filter_map(|folder| {
        let open = fs::read_dir(folder).ok()?.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        Some(open.collect())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_port_is_the_gateways_own_only_if_it_runs_and_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = || is_held_by_gateway(folder.path(), Transport::Tcp, port);
        assert!(!held(), "no gateway runs");
        let _socket = UnixListener::bind(folder.path().join("riser.sock")).unwrap();
        assert!(!held(), "this process does not hold the folder");
        let _lock = fs::File::open(folder.path()).unwrap();
        assert!(held());
    }

    #[test]
    fn sockets_are_found_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000 100\n   \
            1: 0100007F:075B 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0000 100\n";
        assert_eq!(sockets(table, LISTENS, 1883), [Path::new("socket:[12345]")]);
        assert!(sockets(table, LISTENS, 1884).is_empty());
    }
}

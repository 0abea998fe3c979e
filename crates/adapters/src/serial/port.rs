//! An open serial port in raw mode: 8 data bits, no parity, 1 stop bit, no flow control.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{ControlModes, InputModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
pub(super) struct Port {
    path: PathBuf,
    fd: AsyncFd<OwnedFd>,
    opened: Option<Identity>,
}

/// Identifies the device behind a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    file_system: u64,
    inode: u64,
    device: u64,
}

impl Port {
    /// Opens `path`. Other programs, and other adapters, cannot use it meanwhile.
    pub(super) fn open(path: &Path, baud: u32) -> io::Result<Self> {
        // NOCTTY: it must not become our terminal. NONBLOCK: an unconnected modem must not hold the opening up.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let termios = rustix::termios::tcgetattr(&fd)?;
        // Root may open a port that is held exclusively, hence the lock, too.
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Errno::BUSY.into()),
            locked => locked?,
        }
        rustix::termios::ioctl_tiocexcl(&fd)?;
        rustix::termios::tcsetattr(&fd, OptionalActions::Now, &raw(termios, baud)?)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps its descriptor open, which is what that asks for"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self { path: path.to_owned(), fd, opened: identity(path) })
    }

    /// Reads at least one byte; returns 0 if the other side has hung up. Cancel safe.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut *buffer)?)).await
    }

    /// Writes all of `bytes`.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written =
                self.fd.async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, bytes)?)).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Whether its path now leads to another device or to none: some drivers do not report an unplugged device.
    pub(super) fn is_replaced(&self) -> bool {
        identity(&self.path) != self.opened
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Identity { file_system: metadata.dev(), inode: metadata.ino(), device: metadata.rdev() })
}

/// The settings of raw mode. Bytes with a framing error are dropped.
fn raw(mut termios: Termios, baud: u32) -> io::Result<Termios> {
    termios.make_raw();
    termios.input_modes |= InputModes::IGNBRK | InputModes::IGNPAR;
    termios.control_modes -= ControlModes::CSTOPB | ControlModes::PARENB | ControlModes::CRTSCTS;
    // CLOCAL: a missing carrier is not a hang-up.
    termios.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    termios.set_speed(baud)?;
    Ok(termios)
}

/// A text for the user: why a port cannot be used, and the remedy.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    let port = path.display();
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            format!(
                "{port} is not there: plug the device in, or set `port`; `ls /dev/serial/by-id` shows what there is"
            )
        }
        Some(Errno::ACCESS | Errno::PERM) => format!(
            "{port} may not be opened by this user: put it into the port's group, mostly with `sudo usermod -aG dialout USER`"
        ),
        Some(Errno::BUSY) => format!("{port} is in use by another program; `sudo fuser -v {port}` names it"),
        Some(Errno::NOTTY | Errno::ISDIR) => format!("{port} is no serial port; set `port`"),
        _ => format!("{port} cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::Pty;
    use super::*;

    #[tokio::test]
    async fn transfers_raw_bytes_in_both_directions() {
        let pty = Pty::new();
        let port = Port::open(&pty.path, 57_600).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        pty.write(&all);
        let mut received = Vec::new();
        let mut buffer = [0; 64];
        while received.len() < all.len() {
            let count = port.read(&mut buffer).await.unwrap();
            received.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(received, all, "no echo, no translation, no signals");
        port.write_all(b"a\nb\r\n").await.unwrap();
        assert_eq!(pty.read(5), b"a\nb\r\n");
        let termios = rustix::termios::tcgetattr(port.fd.get_ref()).unwrap();
        assert_eq!(termios.input_speed(), 57_600);
    }

    #[tokio::test]
    async fn says_why_it_does_not_open() {
        let pty = Pty::new();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let why = |path: &Path| explain(path, &Port::open(path, 9_600).unwrap_err());
        assert!(why(Path::new("/dev/no-such-port")).contains("/dev/no-such-port is not there: plug"));
        assert!(why(&file).contains("is no serial port"));
        assert!(why(folder.path()).contains("is no serial port"));
        let _first = Port::open(&pty.path, 9_600).unwrap();
        assert!(why(&pty.path).contains("in use by another program"));
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(
            explain(&file, &denied).contains("cannot be used"),
            "an error without a number is shown unchanged"
        );
        assert!(explain(&file, &Errno::ACCESS.into()).contains("usermod -aG dialout"));
    }

    #[tokio::test]
    async fn detects_that_the_device_is_gone_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let pty = Pty::new();
        symlink(&pty.path, &path).unwrap();
        let port = Port::open(&path, 9_600).unwrap();
        assert!(!port.is_replaced());
        std::fs::remove_file(&path).unwrap();
        assert!(port.is_replaced());
        let other = Pty::new();
        symlink(&other.path, &path).unwrap();
        assert!(port.is_replaced());
        drop(pty);
        let hung_up = port.read(&mut [0; 8]).await;
        assert!(matches!(hung_up, Ok(0) | Err(_)), "{hung_up:?}");
    }
}

//! Exit codes, as sysexits.h names them.

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// With what `riser` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Fine,
    /// 1: the ledger does not balance.
    Unbalanced,
    /// 64: wrong usage.
    Usage,
    /// 66: no such input.
    NoInput,
    /// 69: a needed service is not there.
    Unavailable,
    /// 70: our fault.
    Software,
    /// 73: cannot create a file.
    CannotCreate,
    /// 78: configuration.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Unbalanced => 1,
            Exit::Usage => 64,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::CannotCreate => 73,
            Exit::Config => 78,
        })
    }
}

/// Why a command ended early, for people.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Empty where everything has been printed already.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The command needs the cargo feature `feature`, which people know as `name`. The demo needs all of them.
    #[cfg(not(feature = "demo"))]
    pub(crate) fn left_out(name: &str, feature: &str) -> Self {
        Self::new(Exit::Unavailable, gateway_core::left_out(name, feature))
    }

    /// There is no `path` in the data of this configuration.
    pub(crate) fn never_ran(path: &Path) -> Self {
        let path = path.display();
        Self::new(Exit::NoInput, format!("{path} is not there: no gateway has run with this configuration"))
    }

    /// Everything has been printed already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new() }
    }

    /// Stdout is gone: with `| head` that is how it should be.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::silent(Exit::Fine)
        } else {
            Self::new(Exit::CannotCreate, format!("cannot write to stdout: {error}"))
        }
    }
}

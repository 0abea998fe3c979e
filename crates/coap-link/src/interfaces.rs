//! The network interfaces that can do multicast, as Linux lists them; elsewhere the system chooses one.

use std::fs;
use std::path::Path;

/// Where Linux lists them, a folder each.
const LIST: &str = "/sys/class/net";
/// More have no sockets of ours: a machine full of containers has hundreds.
const MOST: usize = 16;
/// `IFF_UP` and `IFF_MULTICAST` of Linux's `if.h`.
const WANTED_FLAGS: u32 = 0x1 | 0x1000;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// 0: whichever the system chooses.
    pub(crate) index: u32,
}

impl Interface {
    /// Those that are up and can do multicast.
    pub(crate) fn all() -> Vec<Self> {
        let Ok(folders) = fs::read_dir(LIST) else { return vec![Self::any()] };
        let mut found: Vec<_> = folders.flatten().filter_map(|folder| Self::read(&folder.path())).collect();
        found.sort_by_key(|interface| interface.index);
        found.truncate(MOST);
        found
    }

    fn any() -> Self {
        Self { name: "the system's choice".to_owned(), index: 0 }
    }

    fn read(folder: &Path) -> Option<Self> {
        let text = |file| fs::read_to_string(folder.join(file)).ok();
        let flags = text("flags")?;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
        let index = text("ifindex")?.trim().parse().ok()?;
        let name = folder.file_name()?.to_string_lossy().into_owned();
        (flags & WANTED_FLAGS == WANTED_FLAGS).then_some(Self { name, index })
    }
}

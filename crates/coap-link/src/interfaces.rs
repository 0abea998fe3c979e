//! The network interfaces that support multicast, as Linux lists them. On other systems the system chooses one.

use std::fs;
use std::path::Path;

/// Linux has a folder here for each interface.
const SYSFS_NET: &str = "/sys/class/net";
/// The most interfaces that are used: a machine full of containers has hundreds.
const MAX_INTERFACES: usize = 16;
/// `IFF_UP` and `IFF_MULTICAST` of Linux's `if.h`.
const REQUIRED_FLAGS: u32 = 0x1 | 0x1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// 0: chosen by the system.
    pub(crate) index: u32,
}

impl Interface {
    /// The interfaces that are up and support multicast.
    pub(crate) fn all() -> Vec<Self> {
        let Ok(folders) = fs::read_dir(SYSFS_NET) else { return vec![Self::any()] };
        let mut found: Vec<_> = folders.flatten().filter_map(|folder| Self::read(&folder.path())).collect();
        found.sort_by_key(|interface| interface.index);
        found.truncate(MAX_INTERFACES);
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
        (flags & REQUIRED_FLAGS == REQUIRED_FLAGS).then_some(Self { name, index })
    }
}

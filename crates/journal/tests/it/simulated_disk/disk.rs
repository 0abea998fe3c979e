//! The simulated disk behind the journal's own interface.

use std::io;
use std::path::{Path, PathBuf};

use journal::{DirLock, Disk, DiskFile};

use super::{FileState, SimulatedDisk};

#[derive(Debug)]
struct OpenFile {
    disk: SimulatedDisk,
    file: usize,
}

struct Unlock(SimulatedDisk, PathBuf);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.state().locked.remove(&self.1);
    }
}

impl SimulatedDisk {
    /// The file that has this name, where the call is let through.
    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut state = self.state();
        state.call()?;
        state.file(path).ok_or(io::ErrorKind::NotFound.into())
    }

    fn opened(&self, file: usize) -> Box<dyn DiskFile> {
        Box::new(OpenFile { disk: self.clone(), file })
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        self.state().call()
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<DirLock> {
        let mut state = self.state();
        state.call()?;
        if !state.locked.insert(dir.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(self.clone(), dir.to_path_buf())))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.directories.get(dir).into_iter().flat_map(|dir| dir.names.keys().cloned()).collect())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let file = self.find(path)?;
        Ok(self.state().files[file].shown.len() as u64)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.find(path)?;
        Ok(self.state().files[file].shown.clone())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.call()?;
        let file = match state.file(path) {
            Some(file) => {
                state.set_len(file, 0);
                file
            }
            None => {
                let file = state.files.len();
                state.files.push(FileState::default());
                state.change_names(path, |names| {
                    names.insert(path.to_path_buf(), file);
                });
                file
            }
        };
        drop(state);
        Ok(self.opened(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.find(path).map(|file| self.opened(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.find(from)?;
        self.state().change_names(to, |names| {
            names.remove(from);
            names.insert(to.to_path_buf(), file);
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.state().change_names(path, |names| {
            names.remove(path);
        });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if let Some(directory) = state.directories.get_mut(dir) {
            directory.durable = directory.names.clone();
            directory.unsynced.clear();
        }
        Ok(())
    }
}

impl DiskFile for OpenFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.state().append(self.file, bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call()?;
        state.set_len(self.file, length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().sync(self.file)
    }
}

//! Gives the linker the chip's memory, and the image the radio chip's firmware, which is not ours to distribute: the folder
//! `CYW43_FIRMWARE` has it (README.md). Without it the image is complete except that its radio stays off.

use std::path::PathBuf;
use std::{env, fs, io};

/// Names in the image and in the folder.
const FILES: [(&str, &str); 3] = [
    ("radio.bin", "43439A0.bin"),
    ("radio_clm.bin", "43439A0_clm.bin"),
    ("radio_nvram.bin", "nvram_rp2040.bin"),
];

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-env-changed=CYW43_FIRMWARE");
    let folder = env::var_os("CYW43_FIRMWARE").map(PathBuf::from);
    if folder.is_none() {
        println!(
            "cargo:warning=CYW43_FIRMWARE is not set: this image has no firmware for its radio and never connects"
        );
    }
    for (name, original) in FILES {
        let bytes = match &folder {
            Some(folder) => {
                let file = folder.join(original);
                println!("cargo:rerun-if-changed={}", file.display());
                fs::read(&file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?
            }
            None => Vec::new(),
        };
        fs::write(out.join(name), bytes)?;
    }
    Ok(())
}

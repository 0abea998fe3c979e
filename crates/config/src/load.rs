//! From files, environment and command line to a checked configuration, or to everything that is wrong with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::check;
use super::document::{self, Node};
use super::masked::masked;
use super::model::Config;
use super::shape::Shape;
use super::validate::validate;
use super::{layers, overrides};
use gateway_core::Timestamp;
use gateway_core::findings::{Finding, Findings, KeyPath, Level, Location, Report};

/// Where to look when no file is given.
const USUAL_PLACES: [&str; 2] = ["gateway.toml", "/etc/riser/gateway.toml"];

/// Names the file, where `--config` does not.
const PATH_VARIABLE: &str = "RISER_CONFIG";

/// What stands for the file's name where there is none.
const NO_FILE: &str = "(no file)";

/// What to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config`; else `RISER_CONFIG`, `./gateway.toml`, `/etc/riser/gateway.toml`.
    pub path: Option<PathBuf>,
    /// Whether `RISER__…` variables override keys.
    pub environment: bool,
    /// `--set KEY=VALUE`: wins over file and environment.
    pub set: Vec<String>,
}

/// What overrides the file, the weaker layer first.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) flags: Vec<String>,
}

/// A configuration without an error in it.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// All of it; paths are absolute or from the working directory, password files are read.
    pub config: Config,
    /// The file as the user named it.
    pub path: PathBuf,
    /// Its text, with each secret as `***`.
    pub shown: String,
    /// What may not be as meant.
    pub warnings: Findings,
    /// Where each key stands, for what is found out later.
    pub(crate) report: Report,
}

impl From<Config> for Loaded {
    /// One that stands in no file.
    fn from(config: Config) -> Self {
        Self { config, ..Self::default() }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file anywhere.
    #[error(
        "no configuration: looked for {looked}; name one with --config, or make one: riser config example > gateway.toml"
    )]
    NoneFound {
        /// All places.
        looked: String,
    },
    /// The file that was named cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has errors; the findings hold them and the warnings too.
    #[error("{findings}")]
    Invalid {
        /// All of them.
        findings: Findings,
    },
}

/// Loads and checks everything that can be checked without touching the network.
///
/// `now` is the wall clock, for dates in certificates.
///
/// # Errors
/// Where there is no file, or any error in it: all of them at once.
pub fn load(options: &LoadOptions, now: Timestamp) -> Result<Loaded, ConfigError> {
    let path = options.path.clone().or_else(find).ok_or_else(|| ConfigError::NoneFound {
        looked: format!("{PATH_VARIABLE}, ./{}", USUAL_PLACES.join(", ")),
    })?;
    let bytes = fs::read(&path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let variables = if options.environment { env::vars_os().collect() } else { Vec::new() };
    from_bytes(&path, &bytes, Layers { variables, flags: options.set.clone() }, now)
}

/// As [`load`]; where there is no file anywhere, what environment and command line say over the defaults.
///
/// # Errors
/// As [`load`].
pub fn load_or_default(options: &LoadOptions, now: Timestamp) -> Result<Loaded, ConfigError> {
    if options.path.is_some() || find().is_some() {
        return load(options, now);
    }
    let variables = if options.environment { env::vars_os().collect() } else { Vec::new() };
    from_bytes(Path::new(NO_FILE), b"", Layers { variables, flags: options.set.clone() }, now)
}

/// The file that is loaded where `--config` does not name one: `RISER_CONFIG`, or the first of the usual places that
/// is there.
fn find() -> Option<PathBuf> {
    let named = env::var_os(PATH_VARIABLE).filter(|value| !value.is_empty());
    named
        .map(PathBuf::from)
        .or_else(|| USUAL_PLACES.map(PathBuf::from).into_iter().find(|path| path.exists()))
}

/// Checks a text as if it stood in the file at `path`, without environment and command line. Touches no network.
#[must_use]
pub fn check_text(path: &Path, text: &str, now: Timestamp) -> Findings {
    match from_bytes(path, text.as_bytes(), Layers::default(), now) {
        Ok(loaded) => loaded.warnings,
        Err(ConfigError::Invalid { findings }) => findings,
        // A text is neither missing nor unreadable.
        Err(ConfigError::NoneFound { .. } | ConfigError::Unreadable { .. }) => Findings::default(),
    }
}

/// As [`load`], of a file's content.
pub(crate) fn from_bytes(
    path: &Path,
    bytes: &[u8],
    Layers { variables, flags }: Layers,
    now: Timestamp,
) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    let invalid = |list| ConfigError::Invalid { findings: Findings::new(&name, list) };
    let mut file = read(bytes).map_err(invalid)?;

    let mut report = Report::default();
    let shape = Shape::of_config();
    validate(&mut report, &shape, &mut file, &KeyPath::root());
    let from_environment = overrides::from_environment(variables, &mut report);
    let environment = overrides::tree(from_environment, &shape, &file, &mut report);
    let from_flags = overrides::from_flags(&flags, &mut report);
    let flags = overrides::tree(from_flags, &shape, &file, &mut report);

    let config = layers::merge(vec![file, environment, flags], &shape, &mut report);
    let config = config.map(|mut config| {
        check::read_files(&mut report, &mut config, path.parent().unwrap_or(Path::new("")));
        check::check(&mut report, &config, now);
        check::check_own_file(&mut report, &config, path);
        config
    });
    let findings = Findings::new(&name, report.findings.clone());
    match config {
        Some(config) if !findings.has_errors() => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let shown = masked(text.strip_prefix('\u{feff}').unwrap_or(text), &shape);
            Ok(Loaded { config, path: path.to_owned(), shown, warnings: findings, report })
        }
        _ => Err(ConfigError::Invalid { findings }),
    }
}

fn read(bytes: &[u8]) -> Result<Node, Vec<Finding>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let text = "not UTF-8: save the file as UTF-8 text".to_owned();
        vec![Finding {
            place: Location::File { line, column: 1 },
            level: Level::Error,
            key: KeyPath::root(),
            text,
        }]
    })?;
    document::parse(text.strip_prefix('\u{feff}').unwrap_or(text))
}

//! What a key may look at beside the model.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::check::accepts::Accepts;
use crate::check::report::{Finding, Level};
use crate::io::{self, LoadOptions};

/// What a key may look at beside the model.
pub(in crate::check) struct Around<'a> {
    pub(in crate::check) accepts: &'a Accepts<'a>,
    /// The file under check.
    pub(in crate::check) path: &'a Path,
    /// The policy's folder.
    pub(in crate::check) root: &'a Path,
    pub(in crate::check) load: &'a LoadOptions,
    /// Who compares models holds it: that takes all threads, and memory by the size of the maps.
    pub(in crate::check) turn: &'a Mutex<()>,
    /// Says whether to go on.
    pub(in crate::check) stop: &'a (dyn Fn() -> ControlFlow<()> + Sync),
}

impl Around<'_> {
    /// The file that the policy means by `template`: `{name}` is the name of the file under check, `{stem}` the same without its ending.
    ///
    /// # Errors
    /// A finding, when there is no such file.
    pub(super) fn other(&self, key: &str, template: &str) -> Result<PathBuf, Box<Finding>> {
        let word = |part: Option<&std::ffi::OsStr>| part.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let (name, stem) = (word(self.path.file_name()), word(self.path.file_stem()));
        let path = self.root.join(template.replace("{name}", &name).replace("{stem}", &stem));
        match io::find(&path) {
            Ok(io::Found::Files(files)) if files == [path.clone()] => Ok(path),
            _ => {
                let message = format!("there is no file '{}', with which it should be compared", path.display());
                Err(Box::new(Finding::new(key, Level::Error, message)))
            }
        }
    }
}

//! Options as words, for callers in other languages: what is understood, and every refusal, is the command line's.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser};

/// Options alone.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct Words<T: Args> {
    #[command(flatten)]
    asked: T,
}

/// Reads `words`, as `--max-macs=1.5x`.
///
/// # Errors
/// What is wrong with which word.
pub fn read<T: Args>(words: impl IntoIterator<Item = String>) -> Result<T, String> {
    match Words::try_parse_from(words) {
        Ok(words) => Ok(words.asked),
        Err(error) => Err(tell(&error)),
    }
}

/// The error in one line, without advice for a terminal.
fn tell(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    match (error.kind(), text(ContextKind::InvalidValue)) {
        (ErrorKind::MissingRequiredArgument, _) => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(all)) => format!("what is needed is not there: {}", all.join(", ")),
            _ => "something that is needed is not there".to_owned(),
        },
        (ErrorKind::UnknownArgument, _) => format!("there is no option '{option}'"),
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(value)) => {
            let why = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) => format!("expected one of {}", words.join(", ")),
                _ => std::error::Error::source(error).map(ToString::to_string).unwrap_or_default(),
            };
            format!("'{value}' is no value of '{option}': {why}")
        }
        _ => {
            let whole = error.to_string();
            let first = whole.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::cli::Rewriting;

    #[test]
    fn words_are_read_as_on_the_command_line() {
        let words = |words: &[&str]| read::<Rewriting>(words.iter().map(|w| (*w).to_owned()));
        let asked = words(&["--max-macs=1.5x", "--keep=a", "--keep=b", "--dry-run"]).map_err(|e| e.clone());
        let options = asked.map(|asked| asked.planning.options());
        assert!(options.is_ok_and(|o| o.keep == ["a", "b"] && o.limits.macs.is_some()));
        let wrong = |given: &[&str]| words(given).err().unwrap_or_default();
        assert_eq!(wrong(&["--downsample=v3"]), "'v3' is no value of '--downsample': expected one of auto, v1, v2");
        assert_eq!(
            wrong(&["--max-macs=1.5"]),
            "'1.5' is no value of '--max-macs': expected a multiple of the original's, as 1.5x, or a number, as 2000000"
        );
        assert_eq!(wrong(&["--json"]), "there is no option '--json'");
        assert!(wrong(&["model.onnx"]).contains("model.onnx"));
    }
}

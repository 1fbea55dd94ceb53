//! Whether a file is what this version of the tool makes of its source with the options recorded in it.

use crate::check::report::{Finding, Level};
use crate::check::subject::Subject;
use crate::engine::{self, EngineError, Record, Refused, Watch};
use crate::io::{Model, load};
use crate::onnx::ModelProto;
use crate::options::Options;
use crate::read::RejectCode;
use crate::report::RejectReport;

use super::around::Around;

pub(super) fn findings(
    key: &str,
    template: &str,
    subject: &Subject<'_>,
    around: &Around<'_>,
) -> Result<Vec<Finding>, EngineError> {
    let path = match around.other(key, template) {
        Ok(path) => path,
        Err(finding) => return Ok(vec![*finding]),
    };
    let source = match load(&path, around.load) {
        Ok(source) => source,
        Err(error) => return Ok(vec![Finding::new(key, Level::Error, error.to_string())]),
    };
    let stale = stale(subject.model, &source, &path.display().to_string(), &mut |_| (around.stop)())?;
    Ok(stale.into_iter().map(|why| Finding::new(key, Level::Failure, why)).collect())
}

/// Why `model` is not what this version makes of `source`, which stands at `path`.
fn stale(model: &Model, source: &Model, path: &str, watch: Watch<'_>) -> Result<Option<String>, EngineError> {
    let record = match Record::of(model.proto()) {
        Ok(record) => record,
        Err(why) => return Ok(Some(why)),
    };
    let Some(record) = record else {
        // Nothing was to do: such files are copies.
        let is_copy = model.digest().is_some() && model.digest() == source.digest();
        if !is_copy {
            return Ok(Some(
                "it does not say what it was made of: this version of onnx-rm did not write it".to_owned(),
            ));
        }
        let outcome = engine::inspect(source, &Options::default(), watch)?;
        let left = outcome.removed().count();
        return Ok((left > 0).then(|| format!("it is a copy of '{path}', in which rewrite would change {left} places")));
    };
    let Some(recorded) = &record.source else {
        return Ok(Some("it does not say of which file it was made: it was rewritten in memory".to_owned()));
    };
    if source.digest().as_ref() != Some(recorded) {
        let now = source.digest().map(|d| d.model).unwrap_or_default();
        return Ok(Some(match now == recorded.model {
            true => format!("the weights beside its source '{path}' have changed since"),
            false => format!("its source '{path}' has changed since: its SHA-256 was {}, and is {now}", recorded.model),
        }));
    }
    let reject = || RejectReport::new(RejectCode::Unverified, "as recorded");
    let left: Refused = record.left.iter().map(|site| (site.clone(), reject())).collect();
    let mut again = source.clone();
    engine::rewrite_without(&mut again, &record.options, &left, watch)?;
    if bare(again) == bare(model.clone()) {
        return Ok(None);
    }
    let own = env!("CARGO_PKG_VERSION");
    Ok(Some(match record.version == own {
        true => format!("this version of onnx-rm makes another file of '{path}': it was changed since it was written"),
        false => format!("onnx-rm {own} makes another file of '{path}' than {} did", record.version),
    }))
}

/// Without the record, and with all weights inside.
fn bare(model: Model) -> ModelProto {
    let mut proto = Model::from_proto(model.into_proto()).into_proto();
    engine::without_record(&mut proto);
    proto
}

//! A survey as text, and back. What is read back is pruned again: a file may have been
//! written by anybody.

use super::fields::{kept, labels_of, prune};
use super::{Cluster, FORMAT, MAGIC, Survey};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Why a text is no survey that can be used; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It ends in the middle.
    #[error("ends in the middle: it was cut off; copy it again, or take another survey")]
    Cut,
    /// Something else altogether.
    #[error("is no survey; name a file that `holdpoint survey` wrote (what is wrong: {0})")]
    Other(String),
    /// Of another version of this program.
    #[error(
        "is a survey of format {0}, and this program reads format {FORMAT}; take it again with \
         `holdpoint survey` of the same version"
    )]
    Format(u64),
    /// It says that it is one, and lacks something.
    #[error("is a broken survey: {0}; take it again with `holdpoint survey`")]
    Broken(String),
}

/// As a file holds it: an object a line.
///
/// # Errors
/// None that is known of; in words.
pub fn render(survey: &Survey) -> Result<String, String> {
    let Some(cluster) = survey.kubernetes.as_ref().filter(|c| !c.objects.is_empty()) else {
        return rest(survey);
    };
    // Objects are most of it, and are not copied for this.
    let around = Cluster {
        version: cluster.version.clone(),
        objects: BTreeMap::new(),
        namespaces: cluster.namespaces.clone(),
        secrets: cluster.secrets.clone(),
        misshapen: cluster.misshapen,
    };
    let around = Survey {
        holdpoint: survey.holdpoint.clone(),
        format: survey.format,
        taken_at: survey.taken_at,
        taken_by: survey.taken_by.clone(),
        pseudonyms: survey.pseudonyms,
        site: survey.site.clone(),
        kubernetes: Some(around),
        vault: survey.vault.clone(),
        lacks: survey.lacks.clone(),
        never: survey.never.clone(),
    };
    // Within a text quotes are escaped, so that this stands in one place only.
    let place = "\"objects\": {}";
    Ok(rest(&around)?.replacen(place, &format!("\"objects\": {}", lines(&cluster.objects)), 1))
}

fn rest(survey: &Survey) -> Result<String, String> {
    let mut text = serde_json::to_string_pretty(survey).map_err(|e| e.to_string())?;
    text.push('\n');
    Ok(text)
}

/// An object a line: so it can be looked through, and two surveys be compared.
fn lines(objects: &BTreeMap<String, Vec<serde_json::Value>>) -> String {
    let kind = |(id, all): (&String, &Vec<serde_json::Value>)| {
        let all: Vec<String> = all.iter().map(|o| format!("\n        {o}")).collect();
        format!("\n      \"{id}\": [{}\n      ]", all.join(","))
    };
    let kinds: Vec<String> = objects.iter().map(kind).collect();
    format!("{{{}\n    }}", kinds.join(","))
}

/// No raft has come so far.
const HIGHEST: u64 = 1 << 53;

#[derive(Deserialize)]
struct Head {
    holdpoint: Option<serde_json::Value>,
    format: Option<serde_json::Value>,
}

/// Reads a survey.
///
/// # Errors
/// It is none, or none that this program can read.
pub fn parse(text: &str) -> Result<Survey, Unreadable> {
    let head: Head = serde_json::from_str(text).map_err(|e| match e.classify() {
        serde_json::error::Category::Eof if text.trim_start().starts_with('{') => Unreadable::Cut,
        // What is said of another file's text may hold some of it.
        _ => Unreadable::Other(format!("line {}, column {}", e.line(), e.column())),
    })?;
    if head.holdpoint.is_none_or(|h| h != MAGIC) {
        let lacks = format!("it does not begin with \"holdpoint\": \"{MAGIC}\"");
        return Err(Unreadable::Other(lacks));
    }
    let format = head.format.and_then(|f| f.as_u64());
    match format {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(other) => return Err(Unreadable::Format(other)),
        None => return Err(Unreadable::Broken("it has no format".into())),
    }
    let mut survey: Survey =
        serde_json::from_str(text).map_err(|e| Unreadable::Broken(e.to_string()))?;
    survey.site.check().map_err(Unreadable::Broken)?;
    let voters = survey.vault.iter().flat_map(|v| &v.voters);
    if voters.flat_map(|v| [v.committed, v.applied]).any(|index| index > HIGHEST) {
        return Err(Unreadable::Broken("a raft index in it is none".into()));
    }
    again(&mut survey);
    Ok(survey)
}

/// Keeps of what was read only what would have been written.
fn again(survey: &mut Survey) {
    let Some(cluster) = &mut survey.kubernetes else { return };
    let labels: BTreeSet<String> = cluster.objects.values().flatten().flat_map(labels_of).collect();
    let mut objects = BTreeMap::new();
    for (id, all) in std::mem::take(&mut cluster.objects) {
        let Some(kind) = kept(&id) else { continue };
        let mut misshapen = 0;
        let all = all.iter().filter_map(|o| prune(kind, o, &labels, &mut misshapen)).collect();
        objects.insert(id, all);
    }
    cluster.objects = objects;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_survey_says_so_and_what_to_do() {
        for (text, wanted) in [
            ("", "no survey"),
            ("{\"holdpoint\": \"sur", "ends in the middle"),
            ("format = 1\n", "no survey"),
            ("{}", "no survey"),
            ("[1, 2]", "no survey"),
            ("{\"holdpoint\": \"survey\"}", "no format"),
            ("{\"holdpoint\": \"survey\", \"format\": 2}", "format 2"),
            ("{\"holdpoint\": \"survey\", \"format\": 1}", "broken survey"),
        ] {
            let why = parse(text).unwrap_err().to_string();
            assert!(
                why.contains(wanted) && why.contains("holdpoint survey")
                    || why.contains("copy it again"),
                "{text}: {why}"
            );
        }
    }
}

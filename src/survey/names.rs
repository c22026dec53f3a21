//! A survey with other names: it can be shown to people who should not know the site's own.
//!
//! A name is made of words, with `-` and the like between them; each word becomes another one,
//! the same one everywhere, and numbers stay. So what is put together from names by somebody
//! (`TEMPLATE-SET-0`, `DEPLOYMENT-HASH-x`) is put together from the new ones alike. Nodes, UIDs
//! and images become others as a whole. Words of the names that a runbook, its manifest and its
//! parameters need are kept: those of Vault's namespace and what lies in it, of the Secrets that
//! the site file names, of StorageClasses and endpoints.

use super::Survey;
use super::fields::kept;
use super::mask::{Shape, is_uuid};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Words that say nothing of a site, or that somebody goes by.
const COMMON: [&str; 10] =
    ["vm", "pvc", "csi", "pv", "snap", "server", "kube", "system", "default", "kubernetes"];
/// What lies between words.
const BETWEEN: [char; 8] = ['-', '.', '_', '/', ':', '@', '#', ' '];

/// Old names and new ones.
#[derive(Default)]
struct Names {
    kept: BTreeSet<String>,
    words: BTreeMap<String, String>,
    count: u64,
    nodes: BTreeMap<String, String>,
    uids: BTreeMap<String, String>,
    images: BTreeMap<String, String>,
}

/// Gives everything another name but what is kept.
pub fn disguise(survey: &mut Survey) {
    let mut names = Names { kept: kept_words(survey), ..Names::default() };
    for node in survey.objects("nodes") {
        let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let new = format!("node-{}", names.nodes.len() + 1);
        names.nodes.insert(name, new);
    }
    survey.pseudonyms = true;
    survey.site.name = "site".into();
    for namespace in &mut survey.site.namespaces {
        *namespace = names.name(namespace);
    }
    for lack in &mut survey.lacks {
        if let Some(namespace) = &mut lack.namespace {
            let new = names.name(namespace);
            lack.what = lack.what.replace(namespace.as_str(), &new);
            *namespace = new;
        }
    }
    let Some(cluster) = &mut survey.kubernetes else { return };
    for namespace in &mut cluster.namespaces {
        *namespace = names.name(namespace);
    }
    for (id, objects) in &mut cluster.objects {
        let Some(mask) = kept(id).and_then(super::fields::Kept::mask) else { continue };
        for object in objects {
            let mut leaf = |shape: Shape, _: &str, text: &str| Some(names.of(shape, text));
            *object = mask.keep(object, &mut leaf).unwrap_or_default();
        }
    }
}

/// Words of names that are not changed.
fn kept_words(survey: &Survey) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = COMMON.map(str::to_owned).into();
    let mut keep = |text: &str| all.extend(words(text).map(str::to_owned));
    let site = &survey.site;
    site.voters.iter().chain(&site.vault).chain(site.endpoints.keys()).for_each(|n| keep(n));
    for (namespace, name) in &site.secrets {
        keep(namespace);
        keep(name);
    }
    for (id, object) in survey
        .kubernetes
        .iter()
        .flat_map(|c| &c.objects)
        .flat_map(|(id, all)| all.iter().map(move |object| (id, object)))
    {
        let namespace = object["metadata"]["namespace"].as_str();
        let ours = namespace.is_some() && namespace == site.vault.as_deref();
        if !ours && id != "storageclasses.storage.k8s.io" {
            continue;
        }
        let Some(mask) = kept(id).and_then(super::fields::Kept::mask) else { continue };
        let mut leaf = |shape: Shape, _: &str, text: &str| {
            if matches!(shape, Shape::Name | Shape::Label | Shape::Key) && !is_node(survey, text) {
                keep(text);
            }
            Some(String::new())
        };
        let _looked_at = mask.keep(object, &mut leaf);
    }
    all
}

fn is_node(survey: &Survey, text: &str) -> bool {
    survey.objects("nodes").iter().any(|n: &Value| n["metadata"]["name"] == text)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(BETWEEN).filter(|w| !w.is_empty())
}

impl Names {
    fn of(&mut self, shape: Shape, text: &str) -> String {
        match shape {
            Shape::Uid => self.uid(text),
            Shape::Image => {
                let n = self.images.len() + 1;
                let new = || format!("registry.example.net/image-{n}:1");
                self.images.entry(text.to_owned()).or_insert_with(new).clone()
            }
            // Kubernetes' own say nothing of a site.
            Shape::Key if text.contains("kubernetes.io/") || text.contains("k8s.io/") => {
                text.to_owned()
            }
            Shape::Name | Shape::Label | Shape::Handle | Shape::Key => self.name(text),
            _ => text.to_owned(),
        }
    }

    fn uid(&mut self, uid: &str) -> String {
        let n = self.uids.len() + 1;
        let new = || format!("00000000-0000-4000-8000-{n:012x}");
        self.uids.entry(uid.to_owned()).or_insert_with(new).clone()
    }

    /// A name, word by word; a UUID in it as a whole.
    fn name(&mut self, text: &str) -> String {
        if let Some(node) = self.nodes.get(text) {
            return node.clone();
        }
        let (mut new, mut rest) = (String::new(), text);
        while !rest.is_empty() {
            if let Some(uid) = rest.get(..36).filter(|t| is_uuid(t)) {
                new += &self.uid(uid);
                rest = &rest[36..];
                continue;
            }
            let end = rest.find(BETWEEN).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            new += &self.word(word);
            let sign = behind.chars().next();
            new.extend(sign);
            rest = &behind[sign.map_or(0, char::len_utf8)..];
        }
        new
    }

    fn word(&mut self, word: &str) -> String {
        let number = word.len() <= 10 && word.bytes().all(|b| b.is_ascii_digit());
        if number || self.kept.contains(word) {
            return word.to_owned();
        }
        if let Some(new) = self.words.get(word) {
            return new.clone();
        }
        let new = loop {
            self.count += 1;
            let new = format!("w{}", self.count);
            if !self.kept.contains(&new) {
                break new;
            }
        };
        self.words.insert(word.to_owned(), new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_made_of_names_are_made_of_the_new_ones() {
        let mut names =
            Names { kept: ["data", "vault"].map(str::to_owned).into(), ..Names::default() };
        assert_eq!(names.name("shop-db"), "w1-w2");
        assert_eq!(names.name("data-shop-db-0"), "data-w1-w2-0");
        assert_eq!(names.name("vault-0"), "vault-0");
        let uid = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1";
        let new = names.of(Shape::Uid, uid);
        assert_eq!(names.name(&format!("pvc-{uid}")), format!("w3-{new}"));
        assert_eq!(new.len(), 36);
        assert_eq!(names.of(Shape::Word, "Running"), "Running");
        assert_eq!(names.of(Shape::Image, "a/b:1"), names.of(Shape::Image, "a/b:1"));
    }
}

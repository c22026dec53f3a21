//! What of a site is seen: a file that names less than it did hides what is still there.

use crate::site::{ALL, Site};
use std::collections::BTreeSet;

const NAMESPACE: &str = "namespace ";

impl Site {
    /// What the file names: `voter vault-0`, `secret vault/unseal`, `namespace books`, `endpoint page`.
    #[must_use]
    pub fn shows(&self) -> BTreeSet<String> {
        let namespaces = self.kubernetes.iter().flat_map(|k| k.listed());
        let voters = self.vault.iter().flat_map(|v| v.voter.get_ref());
        namespaces
            .map(|n| format!("{NAMESPACE}{n}"))
            .chain(voters.map(|v| format!("voter {}", v.name)))
            .chain(self.secret.iter().map(|s| format!("secret {}/{}", s.namespace, s.name)))
            .chain(self.http.keys().map(|name| format!("endpoint {name}")))
            .collect()
    }

    /// What it named once and does not any more.
    #[must_use]
    pub fn hides(&self, named: &BTreeSet<String>) -> Vec<String> {
        let now = self.shows();
        let every = now.contains(&format!("{NAMESPACE}{ALL}"));
        let covered = |one: &&String| every && one.starts_with(NAMESPACE);
        named.difference(&now).filter(|one| !covered(one)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::site::{Site, parse};

    fn site(namespaces: &str, rest: &str) -> Site {
        let text = format!(
            "format = 1\nname = \"x\"\n[kubernetes]\ncontext = \"x\"\nnamespaces = {namespaces}\n{rest}"
        );
        parse(&text).unwrap()
    }

    #[test]
    fn what_a_file_names_no_longer_is_told() {
        let rest = "[vault]\n[[vault.voter]]\nname = \"v-0\"\nport_forward = 8200\n\
            [[secret]]\nnamespace = \"a\"\nname = \"key\"\n\
            [http.page]\nurl = \"http://127.0.0.1/\"\n";
        let was = site(r#"["a", "b"]"#, rest).shows();
        assert!(site(r#"["a", "b"]"#, rest).hides(&was).is_empty());
        assert!(site(r#"["*"]"#, rest).hides(&was).is_empty());
        let less = site(r#"["a"]"#, "").hides(&was);
        assert_eq!(less, ["endpoint page", "namespace b", "secret a/key", "voter v-0"]);
        // All of them are more than some.
        let all = site(r#"["*"]"#, rest).shows();
        assert_eq!(site(r#"["a", "b"]"#, rest).hides(&all), ["namespace *"]);
    }
}

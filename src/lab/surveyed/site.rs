//! The site file of a rehearsal: the names of the real one, and addresses that lead into the
//! lab and nowhere else.

use crate::site::Site;
use crate::survey::{Door, SitePart};

/// Where whoever leads is reached.
pub(super) const DOOR: &str = "vault.example.net";
/// Where nobody is.
const NOWHERE: &str = "not-simulated.example.net";

/// A site file that fits a survey.
///
/// # Errors
/// Its names make no site file; in words.
pub fn site(part: &SitePart) -> Result<Site, String> {
    crate::site::parse(&text(part)).map_err(|problems| {
        let said: Vec<String> = problems.into_iter().map(|p| p.message).collect();
        format!("the survey's names make no site: {}; take it again", said.join("; "))
    })
}

/// The same of a site file of one's own: its names and its values, none of its addresses.
///
/// # Errors
/// As for [`site`].
pub fn own(real: &Site) -> Result<Site, String> {
    let mut lab = site(&SitePart::of(real))?;
    lab.values.clone_from(&real.values);
    Ok(lab)
}

fn text(part: &SitePart) -> String {
    let mut text = format!("format = 1\nname = {:?}\n", part.name);
    if part.kubernetes {
        text += "[kubernetes]\ncontext = \"lab\"\n";
        if !part.namespaces.is_empty() {
            text += &format!("namespaces = {:?}\n", part.namespaces);
        }
    }
    if let Some(namespace) = &part.vault {
        text += &format!("[vault]\nnamespace = {namespace:?}\n");
        for name in &part.voters {
            let address = format!("http://{name}.voters.example.net:8200");
            text += &format!("[[vault.voter]]\nname = {name:?}\naddress = {address:?}\n");
        }
    }
    for (namespace, name) in &part.secrets {
        text += &format!("[[secret]]\nnamespace = {namespace:?}\nname = {name:?}\n");
    }
    for (name, door) in &part.endpoints {
        let url = match door {
            Door::Vault => format!("http://{DOOR}/v1/sys/health"),
            Door::VaultStandby => format!("http://{DOOR}/v1/sys/health?standbyok=true"),
            Door::Elsewhere => format!("http://{NOWHERE}/"),
        };
        text += &format!("[http.{name:?}]\nurl = {url:?}\n");
    }
    if !part.stale.is_empty() {
        text += "[stale]\n";
        for (source, span) in &part.stale {
            text += &format!("{source} = \"{span}\"\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = r#"
format = 1
name = "site one"
[kubernetes]
kubeconfig = "/home/ana/.kube/config"
context = "prod"
namespaces = ["vault", "web"]
[vault]
namespace = "vault"
token_file = "/home/ana/token"
[[vault.voter]]
name = "vault-0"
address = "https://192.0.2.1:8200"
[[vault.voter]]
name = "vault-1"
port_forward = 8200
[[secret]]
namespace = "vault"
name = "key"
[http."a b"]
url = "https://192.0.2.1/v1/sys/health"
[http.shop]
url = "https://shop.example.net/"
[values]
second_copy = "/mnt/x"
[stale]
raft = "9s"
"#;

    #[test]
    fn a_rehearsals_site_has_the_names_and_none_of_the_addresses() {
        let real = crate::site::parse(REAL).unwrap();
        let lab = own(&real).unwrap();
        assert_eq!((lab.name.as_str(), lab.values.len()), ("site one", 1));
        let shown = format!("{lab:?}");
        for gone in ["192.0.2.1", "prod", "/home", "port_forward: Some", "shop.example"] {
            assert!(!shown.contains(gone), "{gone}: {shown}");
        }
        assert!(shown.contains("vault-1.voters.example.net") && shown.contains(NOWHERE));
        assert_eq!(SitePart::of(&lab).voters, SitePart::of(&real).voters);
        assert_eq!(lab.stale, real.stale);
    }
}

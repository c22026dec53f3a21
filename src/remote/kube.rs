//! The API server: a client that retries nothing by itself, and its errors in words.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for an answer of the API server.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8);

/// What can go wrong with a request, told apart as the screen does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(String),
    /// A right is missing.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The object is not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// A precondition failed.
    #[error("it is not what it was: {0}")]
    Conflict(String),
    /// Anything else that the server said.
    #[error("{0}")]
    Other(String),
}

/// Tells errors apart.
#[must_use]
pub fn trouble(e: kube::Error) -> Trouble {
    match e {
        kube::Error::Api(status) => {
            let text = crate::text::clean_line(&status.message);
            match status.code {
                401 => Trouble::Forbidden(format!("the credentials are not accepted: {text}")),
                403 => Trouble::Forbidden(text),
                404 => Trouble::NotFound(text),
                409 | 422 => Trouble::Conflict(text),
                429 | 500..=599 => Trouble::Unreachable(text),
                _ => Trouble::Other(text),
            }
        }
        kube::Error::Auth(e) => Trouble::Forbidden(format!("no credentials: {e}")),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(e) = source {
                text = e.to_string();
                source = e.source();
            }
            Trouble::Unreachable(crate::text::clean_line(&text))
        }
    }
}

/// A request with a deadline of its own: the client has none.
pub(crate) async fn within<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(answer) => answer.map_err(trouble),
        Err(_) => Err(Trouble::Unreachable(format!("no answer in {} s", DEADLINE.as_secs()))),
    }
}

/// Files merged as kubectl does: what the first one names stays, and of several one that is
/// not there is passed over.
fn kubeconfig(paths: &[PathBuf]) -> Result<Kubeconfig, String> {
    let there: Vec<_> = paths.iter().filter(|p| paths.len() == 1 || p.exists()).collect();
    if there.is_empty() {
        return Err(format!("none of {} is there; check KUBECONFIG", shown(paths)));
    }
    there.into_iter().try_fold(Kubeconfig::default(), |merged, path| {
        let file = Kubeconfig::read_from(path).and_then(|file| merged.merge(file));
        file.map_err(|e| format!("{}: {e}", path.display()))
    })
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn client(paths: &[PathBuf], context: &str) -> Result<Client, String> {
    let file = kubeconfig(paths)?;
    let options =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|e| format!("{}: context {context}: {e}", shown(paths)))?;
    // Retrying a DELETE on its own is not this program's to decide.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(3));
    config.proxy_url = None;
    Client::try_from(config).map_err(|e| e.to_string())
}

/// The cluster's identity: the UID of the namespace kube-system.
pub(crate) async fn identity(client: &Client) -> Result<String, Trouble> {
    let namespace = within(Api::<Namespace>::all(client.clone()).get("kube-system")).await?;
    namespace.metadata.uid.ok_or_else(|| Trouble::Other("kube-system has no UID".into()))
}

/// Whether we may; forbidden names verb and resource.
pub async fn review_access(
    client: &Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Result<(), Trouble> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = within(api.create(&kube::api::PostParams::default(), &review)).await?;
    if answer.status.is_some_and(|s| s.allowed) {
        return Ok(());
    }
    let place = namespace.map(|n| format!(" in namespace {n}")).unwrap_or_default();
    Err(Trouble::Forbidden(format!(
        "{verb} {resource}{place}; ask for that right, or run the command as someone who has it"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{Surroundings, kubeconfig_paths};

    #[test]
    fn listed_files_are_merged_and_the_first_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for (name, context, server) in [("a", "one", "https://a:1"), ("b", "two", "https://b:1")] {
            // Both have a cluster `same`.
            let text = format!(
                "contexts: [{{name: {context}, context: {{cluster: same, user: u}}}}]\n\
                 clusters: [{{name: same, cluster: {{server: {server:?}}}}}]\n"
            );
            std::fs::write(place(name), text).unwrap();
        }
        let merged = kubeconfig(&[place("absent"), place("a"), place("b")]).unwrap();
        let contexts: Vec<_> = merged.contexts.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(contexts, ["one", "two"]);
        let server = merged.clusters[0].cluster.as_ref().and_then(|c| c.server.as_deref());
        assert_eq!((merged.clusters.len(), server), (1, Some("https://a:1")));
        let why = kubeconfig(&[place("x"), place("y")]).unwrap_err();
        assert!(why.contains("/x, ") && why.contains("check KUBECONFIG"), "{why}");
        assert!(kubeconfig(&[place("x")]).is_err());
    }

    #[test]
    fn the_site_file_names_one_and_the_environment_a_list() {
        let site = |line: &str| {
            let text = format!("format = 1\nname = \"e\"\n[kubernetes]\ncontext = \"e\"\n{line}\n");
            crate::site::parse(&text).unwrap()
        };
        let paths = |line: &str, env: Option<&str>| {
            let kubeconfig = env.map(str::to_owned);
            let around =
                Surroundings { home: "/home/ana".into(), kubeconfig, ..Surroundings::default() };
            shown(&kubeconfig_paths(&site(line), &around))
        };
        assert_eq!(paths("", None), "/home/ana/.kube/config");
        assert_eq!(paths("", Some("")), "/home/ana/.kube/config");
        assert_eq!(paths("", Some("/a:/b::c")), "/a, /b, c");
        assert_eq!(paths("kubeconfig = \"~/k:1\"", Some("/a:/b")), "/home/ana/k:1");
    }
}

//! The API server: a client that retries nothing by itself, and its errors in words.

use crate::remote::files::{self, soon};
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
async fn kubeconfig(paths: &[PathBuf]) -> Result<Kubeconfig, String> {
    let one = paths.len() == 1;
    let mut merged = None;
    for path in paths {
        let (name, file) = (path.display().to_string(), path.clone());
        let read = move || -> Result<Option<Kubeconfig>, String> {
            files::ends(&file)?;
            let read =
                || Kubeconfig::read_from(&file).map_err(|e| format!("{}: {e}", file.display()));
            (one || file.exists()).then(read).transpose()
        };
        let Some(file) = soon(&name, read).await?? else { continue };
        let before: Kubeconfig = merged.unwrap_or_default();
        merged = Some(before.merge(file).map_err(|e| format!("{name}: {e}"))?);
    }
    merged.ok_or_else(|| format!("none of {} is there; check KUBECONFIG", shown(paths)))
}

/// Files that a context names, and whether a program gives its credentials.
fn named(file: &Kubeconfig, context: &str) -> (Vec<PathBuf>, bool) {
    let context = file.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let Some(context) = context else { return (Vec::new(), false) };
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster);
    let user = file.auth_infos.iter().find(|u| Some(&u.name) == context.user.as_ref());
    let user = user.and_then(|u| u.auth_info.as_ref());
    let authority = cluster.and_then(|c| c.cluster.as_ref()?.certificate_authority.as_ref());
    let of_user = |u: &kube::config::AuthInfo| {
        [&u.client_certificate, &u.client_key, &u.token_file].map(Clone::clone)
    };
    let of_user = user.map(of_user).into_iter().flatten().flatten();
    let files = authority.cloned().into_iter().chain(of_user).map(PathBuf::from).collect();
    (files, user.is_some_and(|u| u.exec.is_some()))
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn client(paths: &[PathBuf], context: &str) -> Result<Client, String> {
    let file = kubeconfig(paths).await?;
    let (files, program) = named(&file, context);
    for path in files {
        let name = path.display().to_string();
        // The library reads it on this very thread, and a token's file every minute.
        soon(&name, move || files::plain(&path)).await??;
    }
    let options =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let said = format!("{}: context {context}", shown(paths));
    let why = said.clone();
    let built = async move {
        let config = kube::Config::from_custom_kubeconfig(file, &options).await;
        let mut config = config.map_err(|e| format!("{why}: {e}"))?;
        // Retrying a DELETE on its own is not this program's to decide.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(3));
        config.proxy_url = None;
        Client::try_from(config).map_err(|e| e.to_string())
    };
    let here = tokio::runtime::Handle::current();
    let built = move || here.block_on(built);
    if program {
        // It may ask its person to log in, which takes as long as it takes.
        return tokio::task::spawn_blocking(built).await.map_err(|e| e.to_string())?;
    }
    soon(&said, built).await?
}

/// The cluster's identity: the UID of the namespace kube-system.
pub(crate) async fn identity(client: &Client) -> Result<String, Trouble> {
    let namespace = within(Api::<Namespace>::all(client.clone()).get("kube-system")).await?;
    namespace.metadata.uid.ok_or_else(|| Trouble::Other("kube-system has no UID".into()))
}

/// Whether we may; forbidden names verb and resource, which may be a part of one (`pods/exec`).
pub async fn review_access(
    client: &Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Result<(), Trouble> {
    let (plural, sub) = match resource.split_once('/') {
        Some((plural, sub)) => (plural, Some(sub.to_owned())),
        None => (resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(plural.into()),
                subresource: sub,
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
    use std::path::Path;

    #[tokio::test]
    async fn listed_files_are_merged_and_the_first_one_wins() {
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
        let merged = kubeconfig(&[place("absent"), place("a"), place("b")]).await.unwrap();
        let contexts: Vec<_> = merged.contexts.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(contexts, ["one", "two"]);
        let server = merged.clusters[0].cluster.as_ref().and_then(|c| c.server.as_deref());
        assert_eq!((merged.clusters.len(), server), (1, Some("https://a:1")));
        let why = kubeconfig(&[place("x"), place("y")]).await.unwrap_err();
        assert!(why.contains("/x, ") && why.contains("check KUBECONFIG"), "{why}");
        assert!(kubeconfig(&[place("x")]).await.is_err());
    }

    /// Test help: a pipe that nobody writes into.
    fn pipe(at: &Path) {
        let made = std::process::Command::new("mkfifo").arg(at).status();
        assert!(made.is_ok_and(|s| s.success()), "{}", at.display());
    }

    /// Lets whoever waits at a pipe go: the test's end waits for its threads.
    fn let_go(at: &Path) {
        let open = std::fs::OpenOptions::new().read(true).write(true).open(at);
        // A thread that has not come to it yet finds nothing to wait at.
        std::fs::remove_file(at).unwrap();
        drop(open);
    }

    /// What it comes to once its deadline is past: the clock does not go by itself while a
    /// thread waits.
    async fn past<T>(asked: impl Future<Output = T>) -> T {
        let later = async { tokio::time::advance(Duration::from_secs(6)).await };
        tokio::join!(asked, later).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_blocks_is_named_and_holds_up_nobody() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let fifo = place("fifo");
        pipe(&fifo);
        let why = past(client(std::slice::from_ref(&fifo), "x")).await.err().unwrap();
        assert!(why.contains("fifo: could not be read in 5 s"), "{why}");
        let around = Surroundings::default();
        let why = past(crate::remote::token(Some(&fifo), &around)).await.unwrap_err();
        assert!(why.contains("fifo: could not be read in 5 s"), "{why}");
        let_go(&fifo);
    }

    #[tokio::test]
    async fn what_has_no_end_and_a_token_in_a_pipe_are_refused() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let token = |name: &str| {
            let path = place(name);
            let text = format!(
                "contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:1'}}}}]\n\
                 users: [{{name: u, user: {{tokenFile: {path:?}}}}}]\n"
            );
            std::fs::write(place(&format!("of-{name}")), text).unwrap();
            place(&format!("of-{name}"))
        };
        pipe(&place("fifo"));
        std::fs::write(place("token"), "secret").unwrap();
        let endless = PathBuf::from("/dev/zero");
        for (file, wanted) in [
            (token("fifo"), "fifo: is no regular file; name a plain file"),
            (endless.clone(), "/dev/zero: is no regular file"),
            (dir.path().to_owned(), "is no regular file"),
        ] {
            let why = client(&[file], "x").await.err().unwrap();
            assert!(why.contains(wanted), "{why}");
        }
        let made = client(&[PathBuf::from("/dev/null"), token("token")], "x").await;
        assert!(made.is_ok(), "{:?}", made.err());
        let why = crate::remote::token(Some(&endless), &Surroundings::default()).await.unwrap_err();
        assert!(why.contains("/dev/zero: has more than"), "{why}");
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

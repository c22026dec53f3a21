//! A client of the API server by the kubeconfig: it retries nothing by itself, and what it lets
//! itself in with is held, to be taken out of what comes back.

use crate::remote::context::{Named, named};
use crate::remote::files::{self, read_soon, soon};
use crate::remote::held::Held;
use kube::Client;
use kube::client::{AuthError, Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files merged as kubectl does: what the first one names stays, and of several one that is
/// not there is passed over.
async fn kubeconfig(paths: &[PathBuf]) -> Result<Kubeconfig, String> {
    let one = paths.len() == 1;
    let mut merged = None;
    for path in paths {
        let (name, file) = (path.display().to_string(), path.clone());
        let read = move || -> Result<Option<Kubeconfig>, String> {
            files::ends(&file)?;
            let read = || {
                Kubeconfig::read_from(&file)
                    .map_err(|e| format!("{}: {}", file.display(), unquoted(&e)))
            };
            (one || file.exists()).then(read).transpose()
        };
        let Some(file) = soon(&name, read).await?? else { continue };
        let before: Kubeconfig = merged.unwrap_or_default();
        merged = Some(before.merge(file).map_err(|e| format!("{name}: {e}"))?);
    }
    merged.ok_or_else(|| format!("none of {} is there; check KUBECONFIG", shown(paths)))
}

/// An error without the lines that it is about: they may hold a token.
fn unquoted(e: &KubeconfigError) -> String {
    let text = e.to_string();
    let first = text.lines().next().unwrap_or_default();
    match e {
        KubeconfigError::Parse(_) => first.to_owned(),
        _ => text,
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A client; what it lets itself in with is `held`.
pub(crate) async fn client(
    paths: &[PathBuf],
    context: &str,
    held: &Arc<Held>,
) -> Result<Client, String> {
    let file = kubeconfig(paths).await?;
    let Named { files, user, proxy } = named(&file, context);
    for path in files {
        let name = path.display().to_string();
        // The library reads it on this very thread, and a token's file every minute.
        soon(&name, move || files::plain(&path)).await??;
    }
    if let Some(user) = user {
        held.keep_user(user);
        if let Some(key) = &user.client_key {
            held.keep_key(&read_soon(Path::new(key)).await?);
        }
    }
    if let Some(proxy) = proxy {
        return Err(format!(
            "{}: context {context} is reached by proxy-url {proxy}, which Holdpoint does not go \
             through; name a context that reaches the API server itself, by a tunnel if need be",
            shown(paths)
        ));
    }
    let program = user.is_some_and(|u| u.exec.is_some());
    let options =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let said = format!("{}: context {context}", shown(paths));
    let (why, held) = (said.clone(), Arc::clone(held));
    let built = async move {
        let config = kube::Config::from_custom_kubeconfig(file, &options).await;
        let mut config = config.map_err(|e| format!("{why}: {e}"))?;
        // Retrying a DELETE on its own is not this program's to decide.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(3));
        config.proxy_url = None;
        noting(config, held).map_err(|e| match e {
            kube::Error::Auth(e) => no_credentials(&e),
            other => other.to_string(),
        })
    };
    let here = tokio::runtime::Handle::current();
    let built = move || here.block_on(built);
    if program {
        // It may ask its person to log in, which takes as long as it takes.
        return tokio::task::spawn_blocking(built).await.map_err(|e| e.to_string())?;
    }
    soon(&said, built).await?
}

/// A client that remembers what it sends to be let in, where that comes from outside the
/// kubeconfig and is renewed: so it is known where it comes back. The library's own stack adds
/// it last, out of sight; here it is added before.
fn noting(mut config: kube::Config, held: Arc<Held>) -> Result<Client, kube::Error> {
    let user = &config.auth_info;
    let renewed = user.exec.is_some() || user.token_file.is_some() || user.auth_provider.is_some();
    let Some(auth) = renewed.then(|| config.auth_layer()).transpose()?.flatten() else {
        return Client::try_from(config);
    };
    // Certificates and whom to act as stay with the connection.
    let user = &mut config.auth_info;
    (user.token, user.token_file, user.username, user.password) = (None, None, None, None);
    (user.auth_provider, user.exec) = (None, None);
    let namespace = config.default_namespace.clone();
    let sends = Client::try_from(config)?;
    let noted = tower::service_fn(move |request: http::Request<Body>| {
        held.note(request.headers());
        let sends = sends.clone();
        async move { sends.send(request).await.map_err(tower::BoxError::from) }
    });
    Ok(ClientBuilder::new(noted, namespace).with_layer(&auth).build())
}

/// A program that should have renewed a token, or its file: what went wrong there.
pub(super) fn renewing<'a>(e: &'a (dyn std::error::Error + 'static)) -> Option<&'a AuthError> {
    std::iter::successors(Some(e), |e| (*e).source()).find_map(|e| e.downcast_ref())
}

/// Why there are no credentials. What a program for them printed is not repeated: it may have
/// printed them.
pub(super) fn no_credentials(e: &AuthError) -> String {
    let why = match e {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rev().map(str::trim).find(|l| !l.is_empty()).unwrap_or("");
            format!("the kubeconfig's program for them ended with {}: {last}", out.status)
        }
        AuthError::AuthExecParse(_) => {
            "what the kubeconfig's program for them printed is no ExecCredential".to_owned()
        }
        other => other.to_string(),
    };
    crate::text::clean_line(&format!("no credentials: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::kube::{Trouble, identity};
    use crate::remote::{Surroundings, kubeconfig_paths};

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
        let why =
            past(client(std::slice::from_ref(&fifo), "x", &Arc::default())).await.err().unwrap();
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
            let why = client(&[file], "x", &Arc::default()).await.err().unwrap();
            assert!(why.contains(wanted), "{why}");
        }
        let made =
            client(&[PathBuf::from("/dev/null"), token("token")], "x", &Arc::default()).await;
        assert!(made.is_ok(), "{:?}", made.err());
        let why = crate::remote::token(Some(&endless), &Surroundings::default()).await.unwrap_err();
        assert!(why.contains("/dev/zero: has more than"), "{why}");
    }

    /// A kubeconfig whose user lets itself in so.
    fn let_in_by(dir: &Path, server: &str, user: serde_json::Value) -> PathBuf {
        let path = dir.join("kubeconfig");
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(&path, text.to_string()).unwrap();
        path
    }

    /// A user of a credential program that is this script.
    fn program(script: &str) -> serde_json::Value {
        serde_json::json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
            "args": ["-c", script], "interactiveMode": "Never"}})
    }

    /// Whatever lets us in is known once it was sent, wherever it came from; and it is sent.
    #[tokio::test]
    async fn what_was_sent_to_be_let_in_is_known_where_it_comes_back() {
        use crate::remote::responder::{Reply, Responder};
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "token-of-a-file").unwrap();
        let runs = dir.path().join("runs").display().to_string();
        let gives = |status: &str| {
            program(&format!(
                "echo once >> {runs}; echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\
                 \"kind\":\"ExecCredential\",\"status\":{status}}}'"
            ))
        };
        for (user, secret, sent) in [
            (serde_json::json!({"token": "token-of-its-own"}), "token-of-its-own", "bearer"),
            (
                serde_json::json!({"tokenFile": dir.path().join("token")}),
                "token-of-a-file",
                "bearer",
            ),
            (
                serde_json::json!({"username": "ana", "password": "pass-of-ana"}),
                // `ana:pass-of-ana` as it is sent.
                "YW5hOnBhc3Mtb2YtYW5h",
                "basic",
            ),
            (gives(r#"{"token":"token-of-a-program"}"#), "token-of-a-program", "bearer"),
            (
                gives(
                    r#"{"token":"token-that-ends","expirationTimestamp":"2999-01-01T00:00:00Z"}"#,
                ),
                "token-that-ends",
                "bearer",
            ),
        ] {
            let heard = Arc::new(std::sync::Mutex::new(String::new()));
            let hears = Arc::clone(&heard);
            let api = Responder::start(move |_, headers| {
                *hears.lock().unwrap() = headers.to_owned();
                Reply::Json(200, serde_json::json!({"metadata": {"uid": "u"}}))
            })
            .await;
            let file = let_in_by(dir.path(), &api.url, user);
            let held = Arc::new(Held::default());
            let client = client(&[file], "x", &held).await.unwrap();
            assert_eq!(identity(&client).await.unwrap(), "u");
            let wanted = format!("authorization: {sent} {secret}").to_lowercase();
            let heard = heard.lock().unwrap();
            assert!(heard.contains(&wanted), "{heard}");
            let text = held.redactor().redact(&format!("got {secret} and pass-of-ana"));
            assert!(!text.contains(secret), "{text}");
            assert_eq!(text.contains("pass-of-ana"), sent != "basic", "{text}");
        }
        // A person who has to log in does so once.
        let runs = std::fs::read_to_string(dir.path().join("runs")).unwrap();
        assert_eq!(runs.lines().count(), 2, "{runs}");
    }

    /// What a credential program or a kubeconfig has in it is not part of what went wrong.
    #[tokio::test]
    async fn an_error_quotes_no_credentials() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let held = Arc::default();
        let at = "http://127.0.0.1:1";
        for (script, wanted) in [
            (
                "echo a-secret-token; echo 'log in again' >&2; exit 3",
                "exit status: 3: log in again",
            ),
            ("echo '{a-secret-token'", "is no ExecCredential"),
        ] {
            let file = let_in_by(dir.path(), at, program(script));
            let why = client(&[file], "x", &held).await.err().unwrap();
            assert!(why.contains(wanted) && !why.contains("a-secret-token"), "{why}");
        }
        // The same when it is asked again, for a token that has ended.
        let twice = format!(
            "test -e {0} && {{ echo a-secret-token; echo gone >&2; exit 4; }}; touch {0}; echo \
             '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":\
             {{\"token\":\"first-token\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}}}}'",
            dir.path().join("ran").display()
        );
        let file = let_in_by(dir.path(), at, program(&twice));
        let why = identity(&client(&[file], "x", &held).await.unwrap()).await.unwrap_err();
        let says =
            "no credentials: the kubeconfig's program for them ended with exit status: 4: gone";
        assert_eq!(why, Trouble::Forbidden(says.into()));
        let torn = dir.path().join("torn");
        std::fs::write(&torn, "users:\n- name: u\n  user: {token: a-secret-token\nx: [\n").unwrap();
        let why = client(&[torn], "x", &held).await.err().unwrap();
        assert!(why.contains("/torn: failed to parse kubeconfig YAML: "), "{why}");
        assert!(!why.contains("a-secret-token"), "{why}");
        // A key in a file of its own is read, and known before anything is sent.
        let key = dir.path().join("key.pem");
        std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n").unwrap();
        let file = let_in_by(dir.path(), at, serde_json::json!({"client-key": key}));
        drop(client(&[file], "x", &held).await);
        assert_eq!(held.redactor().redact("MIGHAgEAMBMGByqGSM49AgEG"), "[redacted]");
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

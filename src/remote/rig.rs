//! Test help: a site connected to responders on loopback.

use crate::event::Time;
use crate::remote::{Remote, Surroundings};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A connected site. `api` and the voters are addresses; `extra` is more of the site file.
pub(crate) async fn remote(api: Option<&str>, voters: &[(&str, &str)], extra: &str) -> Arc<Remote> {
    // A second call is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("format = 1\nname = \"rig\"\n");
    if let Some(api) = api {
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "rig",
            "clusters": [{"name": "rig", "cluster": {"server": api}}],
            "users": [{"name": "rig", "user": {"token": "kube-bearer-token"}}],
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        });
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        text += &format!(
            "[kubernetes]\nkubeconfig = {:?}\ncontext = \"rig\"\nnamespaces = [\"vault\"]\n",
            path.display().to_string()
        );
    }
    for (name, how) in voters {
        text += &format!("[[vault.voter]]\nname = {name:?}\n{how}\n");
    }
    text += extra;
    let site = crate::site::parse(&text).unwrap_or_else(|p| panic!("{p:?}\n{text}"));
    let around = Surroundings {
        home: dir.path().to_owned(),
        vault_token: Some("hvs.rig-token".into()),
        ..Surroundings::default()
    };
    // One second a look, so that ages are exact.
    let ticks = AtomicI64::new(0);
    let clock = Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed) * 1000));
    Arc::new(Remote::connect(site, &around, clock).await.unwrap_or_else(|e| panic!("{e}")))
}

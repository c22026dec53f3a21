//! The conformance cases on the real servers.

use crate::accidents;
use crate::conformance::{Act, Servers, User, run};
use crate::site::{Site, http};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

struct Real {
    site: Site,
    http: reqwest::Client,
    /// Voters whose disks are frozen.
    frozen: RefCell<BTreeSet<usize>>,
}

impl Real {
    async fn client(&self, user: &User) -> Client {
        let file = if *user == User::Reader { "kubeconfig_limited" } else { "kubeconfig" };
        let mut kubeconfig = Kubeconfig::read_from(self.site.fact(file)).unwrap();
        if *user == User::Stranger {
            for auth in kubeconfig.auth_infos.iter_mut().filter_map(|a| a.auth_info.as_mut()) {
                auth.token = Some("nobody-knows-it".to_owned().into());
            }
        }
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.default_retry = false;
        if let User::Only(namespace) = user {
            self.rights(namespace);
            let name = format!("only-{namespace}");
            config.headers.push(("impersonate-user".parse().unwrap(), name.parse().unwrap()));
        }
        Client::try_from(config).unwrap()
    }

    /// All rights in a namespace.
    fn rights(&self, namespace: &str) {
        let name = format!("only-{namespace}");
        let role = ["--verb=*", "--resource=*,*.apps"];
        self.site.kubectl(&[&["-n", namespace, "create", "role", &name], &role[..]].concat());
        let (role, user) = (format!("--role={name}"), format!("--user={name}"));
        self.site.kubectl(&["-n", namespace, "create", "rolebinding", &name, &role, &user]);
    }

    fn act(&self, act: Act) {
        let voter = |n: usize, what: &str| self.site.control(&format!("/voter/vault-{n}/{what}"));
        match act {
            Act::Stop(n) => voter(n, "stop"),
            Act::Continue(n) => voter(n, "cont"),
            Act::Hang(n) => {
                self.frozen.borrow_mut().insert(n);
                accidents::hang(&self.site, n);
            }
            Act::Heal(n) if self.frozen.borrow_mut().remove(&n) => voter(n, "thaw"),
            Act::Heal(_) => {}
            Act::Unsealer(on) => {
                self.site.control(if on { "/sidecar/on" } else { "/sidecar/off" });
            }
            Act::Forget => self.compact(),
        }
    }

    /// The store forgets what was before now.
    fn compact(&self) {
        let store = self.site.fact("store");
        let now = json!({"key": "eA=="}).to_string();
        let (code, body) = http("POST", &format!("{store}/v3/kv/range"), None, &now);
        assert_eq!(code, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let request = json!({"revision": body["header"]["revision"], "physical": true});
        let (code, body) =
            http("POST", &format!("{store}/v3/kv/compaction"), None, &request.to_string());
        assert_eq!(code, 200, "{body}");
    }
}

impl Servers for Real {
    fn kube<'a>(&'a self, user: &'a User) -> LocalBoxFuture<'a, Client> {
        self.client(user).boxed_local()
    }

    fn voter(&self, n: usize) -> String {
        self.site.voters()[n].1.clone()
    }

    fn send(
        &self,
        _: usize,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'_, Result<http::Response<Vec<u8>>, String>> {
        let work = async move {
            let request = reqwest::Request::try_from(request)?;
            let response = self.http.execute(request).await?;
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            Ok::<_, reqwest::Error>(answer.body(response.bytes().await?.to_vec()).unwrap())
        };
        work.map(|seen| seen.map_err(|e| e.to_string())).boxed_local()
    }

    fn root_token(&self) -> String {
        self.site.token()
    }

    fn at_once(&self) -> usize {
        8
    }

    fn wait(&self, how_long: Duration) -> LocalBoxFuture<'_, ()> {
        tokio::time::sleep(how_long).boxed_local()
    }

    fn act(&self, act: Act) -> LocalBoxFuture<'_, ()> {
        async move { self.act(act) }.boxed_local()
    }
}

#[tokio::test]
async fn the_real_servers_pass_the_conformance_cases() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let site = Site::up("conform", &["--loop-volumes"]);
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let real = Rc::new(Real { site, http, frozen: RefCell::default() });
    let filter = std::env::var("HOLDPOINT_CASES").unwrap_or_default();
    let (table, failed) = run::all(real, &filter).await;
    println!("{table}");
    assert!(failed.is_empty(), "{} failed\n\n{}", failed.len(), failed.join("\n"));
}

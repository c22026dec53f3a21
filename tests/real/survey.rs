//! A survey of a real control plane and three real Vaults, with secrets planted where they were
//! found at real sites; and the shipped runbook rehearsed on it to its end.

use crate::alone;
use crate::site::{Site, holdpoint, http, runbook, until};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// Each is a well-formed name: only the list of what is kept can keep it out, not its form.
const PLANTED: [&str; 16] = [
    "planted-secret-data",
    "planted-secret-applied",
    "planted-account-token",
    "planted-variable",
    "planted-applied-variable",
    "planted-argument",
    "planted-command",
    "planted-config",
    "planted-address",
    "planted-message",
    "planted-registry",
    "planted-attribute",
    "planted-option",
    "planted-event",
    "planted-manager",
    "planted-vault-value",
];

fn base64(text: &str) -> String {
    let mut child = Command::new("base64")
        .args(["-w", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

/// Applies as people do: with the annotation of what was applied.
fn apply(site: &Site, object: &Value) {
    let file = site.dir.join("planted.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    let manager = "--field-manager=planted-manager";
    site.kubectl(&["-n", "vault", "apply", manager, "-f", &file]);
}

fn plant(site: &Site) {
    let secret = |name: &str, kind: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name},
            "data": data})
    };
    apply(site, &secret("applied", "Opaque", json!({"key": base64("planted-secret-applied")})));
    let account = json!({"token": base64("planted-account-token")});
    apply(site, &secret("account", "Opaque", account));
    let docker = json!({"auths": {"registry.example.net": {"password": "planted-registry"}}});
    let docker = json!({".dockerconfigjson": base64(&docker.to_string())});
    apply(site, &secret("registry", "kubernetes.io/dockerconfigjson", docker));
    let more = json!({"data": {"planted": base64("planted-secret-data")}}).to_string();
    let own = ["-n", "vault", "patch", "secret", "vault-unseal-key", "--type=merge", "-p", &more];
    site.kubectl(&own);
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"password": "planted-config"}});
    apply(site, &config);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "leaky", "annotations": {
            "example.net/hook": "https://user:planted-address@example.net/"}},
        "spec": {"containers": [{"name": "main", "image": "registry.example.net/main:1",
            "env": [{"name": "A", "value": "planted-variable"},
                {"name": "B", "value": "planted-applied-variable"}],
            "args": ["planted-argument"], "command": ["planted-command"]}],
            "imagePullSecrets": [{"name": "planted-registry"}]}});
    apply(site, &pod);
    let message = json!({"status": {"message": "planted-message"}}).to_string();
    let status = ["-n", "vault", "patch", "pod", "leaky", "--subresource=status", "-p", &message];
    site.kubectl(&status);
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "leaky"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "none",
            "mountOptions": ["password=planted-option"],
            "csi": {"driver": "nfs.csi.k8s.io", "volumeHandle": "leaky",
                "volumeAttributes": {"password": "planted-attribute"},
                "nodePublishSecretRef": {"name": "planted-option", "namespace": "vault"}}}});
    apply(site, &volume);
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "leaky.1"},
        "type": "Normal", "reason": "Told", "message": "planted-event",
        "involvedObject": {"kind": "Pod", "name": "leaky", "namespace": "vault"}});
    apply(site, &event);
    let (leader, token) = (&site.voters()[0].1, site.token());
    let value = json!({"data": {"password": "planted-vault-value"}}).to_string();
    let (code, body) = http("POST", &format!("{leader}/v1/kv/data/planted"), Some(&token), &value);
    assert_eq!(code, 200, "{body}");
}

/// Everything that was planted is there to be found.
fn planted(site: &Site) {
    let mut all = site.kubectl(&[
        "get",
        "secrets,configmaps,pods,events,pv",
        "-A",
        "-o",
        "json",
        "--show-managed-fields",
    ]);
    let (leader, token) = (&site.voters()[0].1, site.token());
    all += &http("GET", &format!("{leader}/v1/kv/data/planted"), Some(&token), "").1;
    for secret in PLANTED {
        let there = all.contains(secret) || all.contains(&base64(secret));
        // The registry's lies within a document that is encoded as a whole; the pod names it.
        assert!(there, "{secret} was not planted");
    }
}

/// What was planted, and what the site has of its own.
fn secrets(site: &Site) -> Vec<(String, String)> {
    let mut all: Vec<_> = PLANTED.iter().map(|p| ((*p).to_owned(), (*p).to_owned())).collect();
    all.extend(PLANTED.iter().map(|p| (format!("{p}, encoded"), base64(p))));
    all.push(("Vault's token".into(), site.token()));
    let kubeconfig = std::fs::read_to_string(site.fact("kubeconfig")).unwrap();
    let token = kubeconfig.lines().find_map(|l| l.trim().strip_prefix("token: ")).unwrap();
    all.push(("the kubeconfig's token".into(), token.trim_matches('"').to_owned()));
    for (namespace, name) in
        [("vault", "vault-unseal-key"), ("kube-system", "proxmox-csi-encryption")]
    {
        let secret = site.json(&["-n", namespace, "get", "secret", name]);
        for (key, value) in secret["data"].as_object().unwrap() {
            all.push((format!("{name}, {key}"), value.as_str().unwrap().to_owned()));
        }
    }
    assert!(all.iter().all(|(_, secret)| secret.len() >= 8));
    all
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a_survey_of_the_real_thing_holds_no_secret_and_starts_a_rehearsal() {
    let site = Site::up("survey", &[]);
    plant(&site);
    planted(&site);
    until("the pods", || {
        let set = site.json(&["-n", "vault", "get", "statefulset", "vault"]);
        set["status"]["readyReplicas"] == 3
    });
    let place = |name: &str| site.dir.join(name).display().to_string();
    let (file, site_file) = (place("real.survey.json"), site.fact("site_file"));
    let out = holdpoint(&["survey", "--site", &site_file, "--out", &file]);
    println!("{}", said(&out));
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let text = std::fs::read_to_string(&file).unwrap();
    for (what, secret) in secrets(&site) {
        assert!(!text.contains(&secret), "{what} is in the survey");
        assert!(!said(&out).contains(&secret), "{what} is printed");
    }
    assert!(!text.contains("127.0.0.1"), "an address is in the survey");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The very objects, and the keys' names without their values.
    let survey: Value = serde_json::from_str(&text).unwrap();
    for (_, uid, _) in site.claims() {
        assert!(text.contains(&uid), "{uid}");
    }
    let keys = &survey["kubernetes"]["secrets"][1]["keys"];
    assert_eq!(keys, &json!(["planted", "unseal-key"]), "{}", survey["kubernetes"]["secrets"]);
    rehearsed(&site, &file, &place("rehearsals"));
}

/// The whole roll on the survey alone, and on the site file as well; then with a fault.
fn rehearsed(site: &Site, file: &str, state: &str) {
    let before = site.claims();
    let manifest = format!("manifest={}", site.fact("manifest"));
    let site_file = site.fact("site_file");
    let runbook = runbook("vault-raft-to-block.toml");
    let start = ["rehearse", &runbook, "--from", file, "--headless", "--param", &manifest];
    for (more, code, wanted) in [
        (vec!["--state", state], 0, "every step is done and verified"),
        (vec!["--site", &site_file, "--fault", "attach-limit"], 1, "caught by"),
    ] {
        let out = holdpoint(&[&start, &more[..]].concat());
        let said = said(&out);
        assert_eq!(out.status.code(), Some(code), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    // Seen by the kernel: with the real site's file at hand nobody is contacted.
    let args = [&start[..], &["--site", &site_file, "--fault", "wrong-class"]].concat();
    let (out, log) = alone::traced(&site.dir, "rehearse-from", &args);
    assert!(out.contains("caught by"), "{out}");
    alone::quiet(&log);
    // Nothing of it happened there, and nobody takes one for the other.
    assert_eq!(site.claims(), before);
    let run = std::fs::read_dir(state).unwrap().next().unwrap().unwrap().path();
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let pins = serde_json::from_str::<Value>(journal.lines().next().unwrap()).unwrap();
    let uid = pins.to_string();
    assert!(uid.contains("1ab51de0-"), "{uid}");
    assert!(
        !uid.contains(&site.fact("vault_cluster_id"))
            && !uid.contains(&site.fact("kube_system_uid"))
    );
}

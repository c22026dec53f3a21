//! No secret gets into a survey, wherever it was put: a list of places where secrets were found
//! at real sites, and besides a field that nobody knows in every object at every depth.

use super::served::{said, served};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdpoint::lab::kube::{Key, kind};
use holdpoint::lab::{World, vault};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// Each is a well-formed name: only the list of what is kept can keep it out, not the form.
const SECRETS: [(&str, &str); 22] = [
    ("a Secret's value", "planted-secret-data"),
    ("a Secret's value, in its annotation of what was applied", "planted-secret-applied"),
    ("a service account's token", "planted-account-token"),
    ("a variable of a container", "planted-variable"),
    ("a variable, in the annotation of what was applied", "planted-applied-variable"),
    ("an argument of a container", "planted-argument"),
    ("a command of a container", "planted-command"),
    ("a ConfigMap's value", "planted-config"),
    ("an address with a password, in an annotation", "planted-address"),
    ("a pod's message", "planted-message"),
    ("how a container ended", "planted-termination"),
    ("a registry's password", "planted-registry"),
    ("attributes of a volume", "planted-attribute"),
    ("mount options", "planted-option"),
    ("parameters of a class", "planted-parameter"),
    ("an Event", "planted-event"),
    ("who wrote which field", "planted-manager"),
    ("a label that nothing selects by", "planted-label"),
    ("a probe's header", "planted-header"),
    ("a variable of a template", "planted-template-variable"),
    ("the kubeconfig's token", "planted-kubeconfig-token"),
    ("a value of Vault", "planted-vault-value"),
];

fn planted(what: &str) -> &'static str {
    SECRETS.iter().find(|(_, s)| s.ends_with(what)).unwrap().1
}

fn at(id: &str, namespace: &str, name: &str) -> Key {
    Key::new(kind(id).unwrap(), namespace, name)
}

fn edit(world: &mut World, id: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
    world.store.update(&at(id, namespace, name), change).unwrap();
}

fn create(world: &mut World, id: &str, namespace: &str, name: &str, object: Value) {
    let now = world.now;
    world.store.create(&at(id, namespace, name), object, now, &mut world.chance).unwrap();
}

fn plant(world: &mut World) {
    let encoded = |what: &str| STANDARD.encode(planted(what));
    let applied = json!({"data": {"password": encoded("secret-applied")}}).to_string();
    edit(world, "secrets", "vault", "vault-unseal-key", |s| {
        s["data"]["unseal-key"] = json!(encoded("secret-data"));
        s["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            json!(applied);
        s["metadata"]["managedFields"] = json!([{
            "manager": planted("manager"), "operation": "Update",
            "fieldsV1": {"f:data": {".": {}, "f:unseal-key": {}}, "f:type": {}},
        }]);
    });
    let token = json!({"type": "kubernetes.io/service-account-token",
        "data": {"token": encoded("account-token")}});
    create(world, "secrets", "vault", "vault-token-x", token);
    let docker = json!({"auths": {"registry.example.net": {"password": planted("registry")}}});
    let registry = json!({"type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(docker.to_string())}});
    create(world, "secrets", "vault", "registry", registry);
    let config = json!({"data": {"password": planted("config")}});
    create(world, "configmaps", "vault", "settings", config);
    let event = json!({"message": planted("event"), "reason": planted("event"),
        "involvedObject": {"kind": "Pod", "name": "vault-0", "namespace": "vault"}});
    create(world, "events", "vault", "vault-0.1", event);
    edit(world, "pods", "vault", "vault-0", pod);
    edit(world, "statefulsets.apps", "vault", "vault", |s| {
        let variable = json!([{"name": "PASSWORD", "value": planted("template-variable")}]);
        s["spec"]["template"]["spec"]["containers"][0]["env"] = variable;
    });
    let volumes: Vec<String> = world
        .store
        .list(kind("persistentvolumes").unwrap(), None)
        .map(|(key, _)| key.name.clone())
        .collect();
    for volume in volumes {
        edit(world, "persistentvolumes", "", &volume, |v| {
            v["spec"]["csi"]["volumeAttributes"]["password"] = json!(planted("attribute"));
            v["spec"]["mountOptions"] = json!([planted("option")]);
        });
    }
    edit(world, "storageclasses.storage.k8s.io", "", "nfs-proxmox", |c| {
        c["parameters"]["password"] = json!(planted("parameter"));
        c["mountOptions"] = json!([format!("password={}", planted("option"))]);
    });
    let leader = world.vault.disks.values_mut();
    for disk in leader {
        let data = std::sync::Arc::make_mut(&mut disk.data);
        data.plain.insert("secret/x".into(), json!({"password": planted("vault-value")}));
    }
}

fn pod(p: &mut Value) {
    let variable = json!([{"name": "PASSWORD", "value": planted("variable")}]);
    let applied = json!({"env": planted("applied-variable")}).to_string();
    p["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": applied,
        "example.net/hook": format!("https://user:{}@example.net/", planted("address")),
    });
    p["metadata"]["labels"]["example.net/token"] = json!(planted("label"));
    p["metadata"]["managedFields"] = json!([{"manager": planted("manager")}]);
    let container = &mut p["spec"]["containers"][0];
    container["env"] = variable;
    container["args"] = json!([planted("argument"), format!("--key={}", planted("argument"))]);
    container["command"] = json!([planted("command")]);
    container["readinessProbe"] = json!({"periodSeconds": 10,
        "httpGet": {"httpHeaders": [{"name": "token", "value": planted("header")}]}});
    p["spec"]["imagePullSecrets"] = json!([{"name": planted("registry")}]);
    p["status"]["message"] = json!(planted("message"));
    p["status"]["conditions"][0]["message"] = json!(planted("message"));
    p["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": planted("termination")}});
}

/// A field that nobody knows, in every object of it but in maps of labels that select.
fn everywhere(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if !["matchLabels", "nodeSelector", "uid"].contains(&key.as_str()) {
                    everywhere(value, key);
                }
            }
            // What a Secret holds is planted by itself.
            if name != "data" {
                map.insert("planted-field".into(), json!("planted-everywhere"));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| everywhere(v, name)),
        _ => {}
    }
}

fn leaks(text: &str) -> Vec<&'static str> {
    let holds = |secret: &str| {
        text.contains(secret) || text.contains(STANDARD.encode(secret).trim_end_matches('='))
    };
    let found = SECRETS.iter().filter(|(_, secret)| holds(secret)).map(|(what, _)| *what);
    let mut found: Vec<_> = found.collect();
    let own = [
        ("Vault's root token", vault::ROOT_TOKEN),
        ("another token", vault::OPERATOR_TOKEN),
        ("the unseal key", vault::UNSEAL_KEY),
        ("what Vault keeps", "LAB not a secret"),
        ("a field that nobody knows", "planted-"),
    ];
    found.extend(own.iter().filter(|(_, s)| holds(s)).map(|(what, _)| *what));
    found
}

#[test]
fn no_secret_gets_into_a_survey_or_into_what_is_printed() {
    let site = served(planted("kubeconfig-token"), |world| {
        plant(world);
        for kept in holdpoint::survey::KINDS {
            let kind = kind(kept.id).unwrap();
            let keys: Vec<Key> = world.store.list(kind, None).map(|(k, _)| k.clone()).collect();
            for key in keys {
                let mut object = (*world.store.get(&key).unwrap()).clone();
                everywhere(&mut object, "");
                world.store.adopt(&key, &object);
            }
        }
    });
    let everything = site.lab.with(|world| serde_json::to_string(world).unwrap());
    for (what, secret) in SECRETS {
        let there = everything.contains(secret) || everything.contains(&STANDARD.encode(secret));
        assert!(there || what == "a registry's password", "{what} was not planted");
    }
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let text = site.text();
    assert_eq!(leaks(&text), Vec::<&str>::new(), "in the file");
    assert_eq!(leaks(&said(&out)), Vec::<&str>::new(), "printed");
    let mode = site.place("out.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // It is a survey of that very site, and of the Secret it knows the keys' names.
    for there in ["vault-raft-backup", "data-vault-1", "unseal-key", "\"k8s-3\""] {
        assert!(text.contains(there), "{there}");
    }
}

/// A file that somebody wrote by hand is held to the same list.
#[test]
fn what_is_read_back_is_pruned_again() {
    let site = served("x", plant);
    site.survey(&[]);
    let mut survey: Value = serde_json::from_str(&site.text()).unwrap();
    let pod = &mut survey["kubernetes"]["objects"]["pods"][0];
    pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": planted("variable")}]);
    pod["metadata"]["annotations"] = json!({"a": planted("address")});
    let again = holdpoint::survey::parse(&survey.to_string()).unwrap();
    let text = holdpoint::survey::render(&again).unwrap();
    assert_eq!(leaks(&text), Vec::<&str>::new());
}

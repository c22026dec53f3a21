//! Files that are no survey, sites that do not fit, lists that could not be read: each is said,
//! with what to do about it.

use super::served::{said, served};
use holdpoint::event::Span;
use holdpoint::lab::kube::{Rule, User};
use holdpoint::lab::{faults, surveyed, vault};
use holdpoint::survey::parse;
use serde_json::{Value, json};

const ROLL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/vault-raft-to-block.toml");

#[test]
fn broken_surveys_are_refused_with_a_remedy() {
    let site = served("x", |_| {});
    site.survey(&[]);
    let text = site.text();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut survey: Value = serde_json::from_str(&text).unwrap();
        change(&mut survey);
        survey.to_string()
    };
    let cases = [
        (text[..text.len() / 2].to_owned(), "ends in the middle"),
        (with(&|s| s["format"] = json!(2)), "format 2"),
        (with(&|s| s["holdpoint"] = json!("journal")), "no survey"),
        (with(&|s| drop(s["vault"]["voters"].as_array_mut().unwrap().remove(1))), "voter vault-1"),
        (with(&|s| s["vault"]["voters"][2]["answers"] = json!(false)), "voter vault-2"),
        (with(&|s| s["vault"] = Value::Null), "nothing of Vault"),
        (with(&|s| s["kubernetes"] = Value::Null), "nothing of the cluster"),
        (with(&|s| s["site"]["voters"] = json!(["a\"]\n[write]"])), "in its site"),
        ("format = 1\nname = \"x\"\n".to_owned(), "no survey"),
        (String::new(), "no survey"),
    ];
    for (text, wanted) in cases {
        std::fs::write(site.place("bad.json"), text).unwrap();
        let out = site.holdpoint(&["rehearse", ROLL, "--from", "bad.json"]);
        let said = said(&out);
        assert_eq!(out.status.code(), Some(2), "{wanted}: {said}");
        assert!(said.contains(wanted) && said.contains("bad.json"), "{wanted}: {said}");
        let remedy = ["take it again", "name a file", "take another", "then take it again"];
        assert!(remedy.iter().any(|r| said.contains(r)), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    for (args, wanted) in [
        (vec!["--from", "absent.json"], "check the path"),
        (vec!["--from", "out.json"], "--param manifest="),
        (vec!["--from", "out.json", "--fault", "wrong-class"], "--param manifest=FILE"),
        (vec!["--from", "out.json", "--param", "manifest=absent.yaml"], "absent.yaml is no file"),
        (vec!["--site", "other.toml"], "vault-9 is no voter"),
        (vec!["--from", "out.json", "--site", "other.toml"], "vault-9 is no voter of the survey"),
    ] {
        let other = std::fs::read_to_string(site.place("site.toml")).unwrap();
        let other = other.replace("name = \"vault-2\"", "name = \"vault-9\"");
        std::fs::write(site.place("other.toml"), other).unwrap();
        let out = site.holdpoint(&[&["rehearse", ROLL], &args[..]].concat());
        assert_eq!(out.status.code(), Some(2), "{}", said(&out));
        assert!(said(&out).contains(wanted), "{wanted}: {}", said(&out));
    }
    let out = site.holdpoint(&[
        "survey",
        "--site",
        "site.toml",
        "--out",
        "new.json",
        "--namespace",
        "vualt",
    ]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("NOT IN IT: namespace vualt: "), "{}", said(&out));
    // Nothing but a survey is written over.
    let out = site.holdpoint(&["survey", "--site", "site.toml", "--out", "manifest.yaml"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("is no survey"), "{}", said(&out));
    assert_eq!(site.survey(&[]).status.code(), Some(0));
}

/// Who may not list something gets a survey of the rest, is told, and in the rehearsal what is
/// missing is not known rather than not there.
#[test]
fn what_may_not_be_read_is_said_and_is_not_taken_for_nothing() {
    let site = served("x", |world| {
        let mut user = User::admin();
        user.groups.retain(|g| g != "system:masters");
        let kinds = [
            "pods",
            "persistentvolumes",
            "persistentvolumeclaims",
            "storageclasses",
            "namespaces",
            "statefulsets",
            "deployments",
            "replicasets",
            "jobs",
            "csinodes",
            "volumeattachments",
            "cronjobs",
            "secrets",
        ];
        user.rules = vec![Rule::new(&["get", "list"], &["*"], &kinds)];
        world.access.admit("x", user);
        vault::fault_at(world, vault::LEADER_STOPPED, "vault-0", true);
    });
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    for wanted in ["NOT IN IT: nodes everywhere: forbidden", "NOT IN IT: voter vault-0: "] {
        assert!(said(&out).contains(wanted), "{wanted}: {}", said(&out));
    }
    site.lab.with(|world| vault::fault_at(world, vault::LEADER_STOPPED, "vault-0", false));
    let poor = site.text();
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert_ne!(site.text(), poor);
    let rich = site.text();
    // One that holds less is not written over it.
    site.lab.with(|world| faults::fault(world, "api-outage", true));
    let out = site.survey(&[]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("not written"), "{}", said(&out));
    assert_eq!(site.text(), rich);
    let args = ["rehearse", ROLL, "--from", "out.json", "--param", "manifest=manifest.yaml"];
    let out = site.holdpoint(&args);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let said = said(&out);
    assert!(said.contains("preflight/nodes") && said.contains("the survey"), "{said}");
}

/// Whatever somebody did to a survey: it is refused, or there is a world of it that lives on.
#[test]
fn no_broken_survey_breaks_the_lab() {
    let site = served("x", |_| {});
    site.survey(&[]);
    let mut survey: Value = serde_json::from_str(&site.text()).unwrap();
    for objects in survey["kubernetes"]["objects"].as_object_mut().unwrap().values_mut() {
        let ours = |o: &Value| {
            let of = [&o["metadata"]["namespace"], &o["spec"]["claimRef"]["namespace"]];
            of.iter().all(|n| n.is_null() || **n == json!("vault"))
        };
        objects.as_array_mut().unwrap().retain(ours);
    }
    let mut chance = fastrand::Rng::with_seed(7);
    let (mut worlds, mut refused) = (0, 0);
    for round in 0..60 {
        let mut broken = survey.clone();
        // Objects may be anything; what is around them is held to its types.
        let kinds = broken["kubernetes"]["objects"].as_object_mut().unwrap();
        for _ in 0..30 {
            let at = chance.usize(..kinds.len());
            let all = kinds.values_mut().nth(at).unwrap().as_array_mut().unwrap();
            if !all.is_empty() {
                let at = chance.usize(..all.len());
                damage(&mut all[at], &mut chance);
            }
        }
        if round % 4 == 0 {
            damage(&mut broken, &mut chance);
        }
        let Ok(read) = parse(&broken.to_string()) else {
            refused += 1;
            continue;
        };
        let Ok((mut world, _)) = surveyed::world(&read, 1) else {
            refused += 1;
            continue;
        };
        worlds += 1;
        world.advance(world.now + Span::secs(900));
    }
    assert!(worlds > 30 && refused > 12, "{worlds} {refused}");
}

/// Something of it is taken away, is of another kind, is something else.
fn damage(value: &mut Value, chance: &mut fastrand::Rng) {
    let size = match value {
        Value::Object(map) => map.len(),
        Value::Array(all) => all.len(),
        _ => 0,
    };
    if size == 0 || chance.u8(..) < 20 {
        let others = [
            Value::Null,
            json!(-1),
            json!(300),
            json!("x"),
            json!([]),
            json!({}),
            json!(true),
            json!("2026-01-01T00:00:00Z"),
            json!("vault-0"),
            json!([{"a": 1}]),
        ];
        *value = others[chance.usize(..others.len())].clone();
        return;
    }
    let at = chance.usize(..size);
    match value {
        Value::Object(map) => {
            let key = map.keys().nth(at).unwrap().clone();
            if chance.u8(..) < 15 {
                map.remove(&key);
            } else {
                damage(map.get_mut(&key).unwrap(), chance);
            }
        }
        Value::Array(all) if chance.u8(..) < 15 => drop(all.remove(at)),
        Value::Array(all) => damage(&mut all[at], chance),
        _ => {}
    }
}

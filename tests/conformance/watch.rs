//! Lists and watches.

use super::Act;
use super::answer::{Done, Wrong, so, wrong};
use super::run::cases;
use super::things::config;
use super::world::{Watch, World};
use serde_json::{Value, json};

cases![
    events_come_in_order,
    a_watch_without_a_version_begins_with_what_is_there,
    initial_events_end_with_a_bookmark,
    initial_events_want_a_match,
    a_watch_ends_after_its_time,
    a_field_selector_sees_one_name,
    a_label_selector_sees_what_leaves_it,
    pages_are_of_one_moment,
    a_list_from_the_cache,
    a_version_from_the_future,
    a_broken_continue_token,
    a_list_of_a_moment,
    a_watch_as_a_table,
];

/// What only can be seen after versions were forgotten, one at a time.
pub const FORGETFUL: &[super::run::Case] = {
    cases![a_watch_from_a_forgotten_version, a_page_of_a_forgotten_version];
    CASES
};

/// The lists that cases here are about: only what they made themselves.
const MINE: &str = "labelSelector=conf%3Dmine";

fn mine(name: &str) -> Value {
    config(name, json!({"metadata": {"labels": {"conf": "mine"}}}))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    text.parse().unwrap_or_default()
}

async fn made(w: &World, names: &[&str]) -> Result<String, Wrong> {
    for name in names {
        w.make("configmaps", &mine(name)).await?;
    }
    Ok(w.kube.get(&w.core(&format!("configmaps?{MINE}"))).await?.code(200)?.version())
}

async fn watch(w: &World, query: &str) -> Result<Watch, Wrong> {
    w.kube.watch(&w.core(&format!("configmaps?watch=true&{MINE}&{query}"))).await
}

/// What changed after a list, in the order of its versions; a deletion has a version of its own.
async fn events_come_in_order(w: &World) -> Done {
    let from = made(w, &["before"]).await?;
    w.make("configmaps", &mine("a")).await?;
    w.make("configmaps", &mine("b")).await?;
    let mut stream = watch(w, &format!("resourceVersion={from}")).await?;
    w.kube.merge(&w.core("configmaps/a"), &json!({"data": {"k": "v"}})).await?.code(200)?;
    w.kube.delete(&w.core("configmaps/a")).await?.code(200)?;
    let mut last = from.parse::<u64>().unwrap_or_default();
    for (kind, of) in [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "a")] {
        let object = stream.expect(kind).await?;
        so(name(&object) == of, format!("{kind} {of}"), &object)?;
        so(object["kind"] == "ConfigMap" && object["apiVersion"] == "v1", "a ConfigMap", &object)?;
        so(version(&object) > last, format!("a version after {last}"), &object)?;
        if of == "a" && kind != "ADDED" {
            so(object["data"]["k"] == "v", "the data", &object)?;
        }
        last = version(&object);
    }
    Ok(())
}

/// The same without a version and with 0: an ADDED for each object, in the order of names.
async fn a_watch_without_a_version_begins_with_what_is_there(w: &World) -> Done {
    made(w, &["b", "a"]).await?;
    for query in ["timeoutSeconds=30", "resourceVersion=0&timeoutSeconds=30"] {
        let mut stream = watch(w, query).await?;
        for of in ["a", "b"] {
            let object = stream.expect("ADDED").await?;
            so(name(&object) == of, of, &object)?;
        }
        let new = format!("c{}", query.len());
        w.make("configmaps", &mine(&new)).await?;
        let object = stream.expect("ADDED").await?;
        so(name(&object) == new, &new, &object)?;
        w.kube.delete(&w.core(&format!("configmaps/{new}"))).await?.code(200)?;
    }
    Ok(())
}

/// The bookmark has kind, version and annotation, and nothing else; then the watch goes on.
async fn initial_events_end_with_a_bookmark(w: &World) -> Done {
    let listed = made(w, &["a", "b"]).await?;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut stream = watch(w, query).await?;
    for of in ["a", "b"] {
        let object = stream.expect("ADDED").await?;
        so(name(&object) == of, of, &object)?;
    }
    let mark = stream.expect("BOOKMARK").await?;
    so(version(&mark) >= listed.parse().unwrap_or_default(), format!("{listed} or later"), &mark)?;
    let wanted = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {
            "resourceVersion": mark["metadata"]["resourceVersion"],
            "annotations": {"k8s.io/initial-events-end": "true"},
        },
    });
    so(mark == wanted, &wanted, &mark)?;
    w.kube.delete(&w.core("configmaps/a")).await?.code(200)?;
    let object = stream.expect("DELETED").await?;
    so(name(&object) == "a", "a", &object)
}

async fn initial_events_want_a_match(w: &World) -> Done {
    let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let path = w.core("configmaps?watch=true&sendInitialEvents=true");
    w.kube.get(&path).await?.refused(
        422,
        "Invalid",
        &format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {why}"),
        &json!({
            "group": "meta.k8s.io", "kind": "ListOptions",
            "causes": [{
                "reason": "FieldValueForbidden", "message": why, "field": "resourceVersionMatch",
            }],
        }),
    )?;
    Ok(())
}

async fn a_watch_ends_after_its_time(w: &World) -> Done {
    let from = made(w, &["a"]).await?;
    watch(w, &format!("resourceVersion={from}&timeoutSeconds=1")).await?.ends().await
}

async fn a_field_selector_sees_one_name(w: &World) -> Done {
    let from = made(w, &["a", "b"]).await?;
    let path =
        format!("configmaps?watch=true&fieldSelector=metadata.name%3Db&resourceVersion={from}");
    let mut stream = w.kube.watch(&w.core(&path)).await?;
    for of in ["a", "b"] {
        w.kube.delete(&w.core(&format!("configmaps/{of}"))).await?.code(200)?;
    }
    let object = stream.expect("DELETED").await?;
    so(name(&object) == "b", "b", &object)?;
    let known = "\"data.k\" is not a known field selector: only \"metadata.name\", \
                 \"metadata.namespace\"";
    w.kube.get(&w.core("configmaps?fieldSelector=data.k%3Dv")).await?.refused(
        400,
        "BadRequest",
        known,
        &Value::Null,
    )?;
    Ok(())
}

/// What stops to match is DELETED, as it was before, with the version of the change.
async fn a_label_selector_sees_what_leaves_it(w: &World) -> Done {
    let from = made(w, &["a"]).await?;
    let mut stream = watch(w, &format!("resourceVersion={from}")).await?;
    let other = json!({"metadata": {"labels": {"conf": "other"}}});
    let changed = w.kube.merge(&w.core("configmaps/a"), &other).await?.code(200)?;
    let back = json!({"metadata": {"labels": {"conf": "mine"}}});
    w.kube.merge(&w.core("configmaps/a"), &back).await?.code(200)?;
    let object = stream.expect("DELETED").await?;
    so(object["metadata"]["labels"]["conf"] == "mine", "the labels before", &object)?;
    so(version(&object).to_string() == changed.version(), changed.version(), &object)?;
    let object = stream.expect("ADDED").await?;
    so(name(&object) == "a", "a", &object)
}

/// Pages are sorted by name and show what was there at the first one.
async fn pages_are_of_one_moment(w: &World) -> Done {
    made(w, &["a", "b", "d", "e", "g"]).await?;
    let first = w.kube.get(&w.core(&format!("configmaps?{MINE}&limit=2"))).await?.code(200)?;
    so(first.names()? == ["a", "b"], "a, b", first.text())?;
    let token = first.word("/metadata/continue");
    w.make("configmaps", &mine("c")).await?;
    w.kube.delete(&w.core("configmaps/d")).await?.code(200)?;
    let path = w.core(&format!("configmaps?{MINE}&limit=2&continue={token}"));
    let second = w.kube.get(&path).await?.code(200)?;
    so(second.names()? == ["d", "e"], "d, e", second.text())?;
    so(second.version() == first.version(), first.version(), second.version())?;
    let token = second.word("/metadata/continue");
    let path = w.core(&format!("configmaps?{MINE}&limit=2&continue={token}"));
    let last = w.kube.get(&path).await?.code(200)?;
    so(last.names()? == ["g"], "g", last.text())?;
    last.has(&json!({"metadata": {"continue": "$absent", "remainingItemCount": "$absent"}}))?;
    // Without a selector the first page says how many more there are.
    let counted = w.kube.get(&w.core("configmaps?limit=2")).await?.code(200)?;
    let all = w.kube.get(&w.core("configmaps")).await?.code(200)?.names()?.len() as u64;
    let rest = counted.number("/metadata/remainingItemCount")?;
    so(rest == all - 2, all - 2, counted.text())?;
    let path = w.core(&format!("configmaps?limit=2&resourceVersion=5&continue={token}"));
    let both = "specifying resource version is not allowed when using continue";
    w.kube.get(&path).await?.refused(400, "BadRequest", both, &Value::Null)?;
    Ok(())
}

/// Version 0 is whatever is at hand: complete, and without pages.
async fn a_list_from_the_cache(w: &World) -> Done {
    made(w, &["a", "b", "c"]).await?;
    let path = w.core(&format!("configmaps?{MINE}&resourceVersion=0&limit=1"));
    let look = async || {
        let seen = w.kube.get(&path).await?.code(200)?;
        so(seen.names()? == ["a", "b", "c"], "a, b, c", seen.text())?;
        seen.has(&json!({"kind": "ConfigMapList", "metadata": {"continue": "$absent"}}))
    };
    w.eventually("a list from the cache", look).await?;
    Ok(())
}

/// The server waits for it for a while, then says so; 504.
async fn a_version_from_the_future(w: &World) -> Done {
    for what in ["configmaps", "configmaps/kube-root-ca.crt"] {
        let path = w.core(&format!("{what}?resourceVersion=99999999"));
        let seen = w.kube.get(&path).await?.code(504)?.has(&json!({
            "reason": "Timeout", "status": "Failure", "code": 504,
            "details": {
                "causes": [{
                    "reason": "ResourceVersionTooLarge",
                    "message": "Too large resource version",
                }],
                "retryAfterSeconds": 1,
            },
        }))?;
        let starts = "Timeout: Too large resource version: 99999999, current: ";
        so(seen.word("/message").starts_with(starts), starts, seen.text())?;
    }
    Ok(())
}

async fn a_broken_continue_token(w: &World) -> Done {
    let seen = w.kube.get(&w.core("configmaps?limit=1&continue=abc")).await?.code(400)?;
    let starts = "invalid continue token: continue key is not valid: ";
    so(seen.word("/message").starts_with(starts), starts, seen.text())?;
    seen.has(&json!({"reason": "BadRequest", "details": "$absent"}))?;
    Ok(())
}

/// `Exact` is that very version, `NotOlderThan` that or a later one.
async fn a_list_of_a_moment(w: &World) -> Done {
    let then = made(w, &["a"]).await?;
    made(w, &["b"]).await?;
    let list = |of: &str| {
        w.core(&format!("configmaps?{MINE}&resourceVersion={then}&resourceVersionMatch={of}"))
    };
    let exact = w.kube.get(&list("Exact")).await?.code(200)?;
    so(exact.names()? == ["a"] && exact.version() == then, format!("a at {then}"), exact.text())?;
    let newer = w.kube.get(&list("NotOlderThan")).await?.code(200)?;
    so(newer.names()? == ["a", "b"], "a, b", newer.text())?;
    let why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
    let alone = w.core("configmaps?resourceVersionMatch=Exact");
    w.kube.get(&alone).await?.code(422)?.has(&json!({
        "reason": "Invalid",
        "message":
            format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {why}"),
    }))?;
    Ok(())
}

/// Columns come with the first event only; the bookmark alone has an object.
async fn a_watch_as_a_table(w: &World) -> Done {
    made(w, &["a", "b"]).await?;
    let path = w.core(&format!(
        "configmaps?watch=true&{MINE}&includeObject=None&sendInitialEvents=true\
         &resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    ));
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut stream = w.kube.watch_as(&path, accept).await?;
    for (of, columns) in [("a", true), ("b", false)] {
        let table = stream.expect("ADDED").await?;
        so(table["kind"] == "Table", "a Table", &table)?;
        so(table["columnDefinitions"].is_array() == columns, "columns once", &table)?;
        let row = &table["rows"][0];
        so(row["cells"][0] == of && row["object"].is_null(), of, &table)?;
    }
    let mark = stream.expect("BOOKMARK").await?;
    let notes = &mark["rows"][0]["object"]["metadata"]["annotations"];
    so(notes["k8s.io/initial-events-end"] == "true", "the end of what was there", &mark)
}

/// Events: the one kind of object that no cache remembers after the store forgot.
async fn noted(w: &World, names: &[&str]) -> Done {
    for name in names {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
            "involvedObject": {"namespace": w.ns}, "reason": "Conformance",
        });
        w.make("events", &event).await?;
    }
    Ok(())
}

/// A stream with one ERROR, which is a Status with 410; or that as the answer itself.
async fn a_watch_from_a_forgotten_version(w: &World) -> Done {
    noted(w, &["a"]).await?;
    let from = w.kube.get(&w.core("events")).await?.code(200)?.version();
    noted(w, &["b", "c", "d"]).await?;
    w.act(Act::Forget).await;
    let path = w.core(&format!("events?watch=true&resourceVersion={from}"));
    let mut stream = w.kube.watch(&path).await?;
    let error = stream.expect("ERROR").await?;
    let wanted = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "The resourceVersion for the provided watch is too old.",
        "reason": "Expired", "code": 410,
    });
    so(error == wanted, &wanted, &error)?;
    stream.ends().await
}

/// The answer has a token to go on with, at the price of consistency.
async fn a_page_of_a_forgotten_version(w: &World) -> Done {
    noted(w, &["a", "b", "c"]).await?;
    let first = w.kube.get(&w.core("events?limit=1")).await?.code(200)?;
    let (from, token) = (first.version(), first.word("/metadata/continue"));
    w.kube.delete(&w.core("events/a")).await?.code(200)?;
    w.act(Act::Forget).await;
    let exact = w.core(&format!("events?resourceVersion={from}&resourceVersionMatch=Exact"));
    let old = "The resourceVersion for the provided list is too old.";
    w.kube.get(&exact).await?.refused(410, "Expired", old, &Value::Null)?;
    let page = w.core(&format!("events?limit=1&continue={token}"));
    let seen = w.kube.get(&page).await?.code(410)?.has(&json!({
        "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410,
        "metadata": {"continue": "$any"},
    }))?;
    let starts = "The provided continue parameter is too old to display a consistent list result.";
    if !seen.word("/message").starts_with(starts) {
        return wrong(starts, seen.text());
    }
    let token = seen.word("/metadata/continue");
    let rest = w.kube.get(&w.core(&format!("events?limit=1&continue={token}"))).await?.code(200)?;
    so(rest.names()? == ["b"], "b", rest.text())
}

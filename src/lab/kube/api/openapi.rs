//! As much of OpenAPI as kubectl needs to see that the server checks fields itself: which
//! kinds can be patched, and that a patch takes `fieldValidation`. There are no schemas.

use crate::lab::kube::{KINDS, Kind};
use serde_json::{Map, Value, json};

/// A document, if there is one at that path.
pub fn document(path: &str) -> Option<Value> {
    let rest = path.strip_prefix("/openapi/v3")?;
    if rest.is_empty() {
        return Some(index());
    }
    let mut paths = Map::new();
    for kind in KINDS.iter().filter(|k| root(k) == rest.trim_start_matches('/')) {
        let (path, patch) = patch(kind);
        paths.insert(path, json!({ "patch": patch }));
    }
    let info = json!({"title": "Kubernetes", "version": "v1.34.4"});
    let document = json!({"openapi": "3.0.0", "info": info, "paths": paths,
        "components": {"schemas": {}}});
    (!paths.is_empty()).then_some(document)
}

fn root(kind: &Kind) -> String {
    match kind.group {
        "" => format!("api/{}", kind.version),
        group => format!("apis/{group}/{}", kind.version),
    }
}

fn index() -> Value {
    let mut paths = Map::new();
    for kind in KINDS {
        let root = root(kind);
        let at = json!({"serverRelativeURL": format!("/openapi/v3/{root}?hash=1")});
        paths.insert(root, at);
    }
    json!({ "paths": paths })
}

fn patch(kind: &Kind) -> (String, Value) {
    let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let path = format!("/{}{scope}/{}/{{name}}", root(kind), kind.plural);
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let names = ["dryRun", "fieldManager", "fieldValidation", "force"];
    let operation = json!({
        "operationId": format!("patch{}", kind.kind),
        "parameters": names.map(parameter),
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind":
            {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    (path, operation)
}

//! The first look at pods: tables as the API server prints them for kubectl, without the
//! objects, from its cache. Name, readiness, status, restarts and node of 20,000 pods are
//! 5 MB and come in a tenth of a second; their identities follow by the watch.

use crate::observe::watch::feed::{News, Report};
use crate::observe::watch::kinds::{Kind, Row};
use crate::observe::watch::wire::{self, Broken};
use crate::remote::Remote;
use crate::text::clean_line;
use crate::world::Pod;
use futures::StreamExt;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const NAMES: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
/// Tables that are asked for at once.
const AT_ONCE: usize = 4;
/// Longest table: 100,000 pods in one namespace.
const LONGEST: usize = 32 << 20;

/// Tells the pods of these scopes, each by its feed's number. Whatever goes wrong is left
/// to the watch that follows, which says so.
pub(super) async fn look(
    remote: &Arc<Remote>,
    client: &Client,
    scopes: &[(usize, Option<String>)],
    limit: Duration,
    hub: &Sender<Report>,
) {
    let looking = async {
        let mut namespaces = Vec::new();
        for (feed, scope) in scopes {
            match scope {
                Some(namespace) => namespaces.push((*feed, namespace.clone())),
                None => {
                    let all = every_namespace(remote, client, limit).await.unwrap_or_default();
                    namespaces.extend(all.into_iter().map(|n| (*feed, n)));
                }
            }
        }
        let tables = namespaces.into_iter().map(|(feed, namespace)| async move {
            let rows = table(client, &namespace, limit).await.unwrap_or_default();
            let at = remote.now();
            // The hub is gone only when nobody looks any more.
            let _ = hub.send(Report { feed, at, news: News::Glimpse(rows) }).await;
        });
        futures::stream::iter(tables).buffer_unordered(AT_ONCE).collect::<()>().await;
    };
    // Late tables are worth nothing: the watch is as fast.
    let _ = tokio::time::timeout(limit, looking).await;
}

/// Names of all namespaces; the one where Vault runs first.
async fn every_namespace(
    remote: &Remote,
    client: &Client,
    limit: Duration,
) -> Result<Vec<String>, Broken> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
    }
    let body = wire::get(client, "/api/v1/namespaces?resourceVersion=0", NAMES, limit).await?;
    let body = wire::whole(body, LONGEST).await?;
    let list: List = serde_json::from_slice(&body).unwrap_or(List { items: Vec::new() });
    let mut names: Vec<String> = list.items.into_iter().map(|i| i.metadata.name).collect();
    let first = remote.site.vault.as_ref().map(|v| v.namespace.as_str());
    names.sort_by_key(|n| (Some(n.as_str()) != first, n.clone()));
    Ok(names)
}

async fn table(client: &Client, namespace: &str, limit: Duration) -> Result<Vec<Row>, Broken> {
    let path = Kind::Pods.path(Some(namespace)) + "?includeObject=None&resourceVersion=0";
    let body = wire::get(client, &path, TABLE, limit).await?;
    let body = wire::whole(body, LONGEST).await?;
    Ok(pods(namespace, &body).into_iter().map(Row::Pod).collect())
}

/// Rows of a printed table. When a pod was created is not in it, only an age in words, and
/// no UID: both stay open until the watch tells them.
fn pods(namespace: &str, body: &[u8]) -> Vec<Pod> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Table {
        column_definitions: Vec<Column>,
        #[serde(default)]
        rows: Vec<Printed>,
    }
    #[derive(Deserialize)]
    struct Column {
        name: String,
    }
    #[derive(Deserialize)]
    struct Printed {
        cells: Vec<Value>,
    }
    let Ok(table) = serde_json::from_slice::<Table>(body) else { return Vec::new() };
    let place = |name: &str| table.column_definitions.iter().position(|c| c.name == name);
    let columns = ["Name", "Ready", "Status", "Restarts", "Node"].map(place);
    let row = |printed: Printed| {
        let cell = |i: usize| match printed.cells.get(columns[i]?)? {
            Value::String(text) => Some(clean_line(text)),
            other => Some(other.to_string()),
        };
        let number = |text: &str| text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let ready = cell(1)?;
        let (ready, containers) = ready.split_once('/')?;
        let status = cell(2)?;
        Some(Pod {
            namespace: namespace.to_owned(),
            name: cell(0)?,
            ready: number(ready),
            containers: number(containers),
            deleting: status == "Terminating",
            status,
            restarts: cell(3).map_or(0, |text| number(&text)),
            node: cell(4).filter(|n| n != "<none>").unwrap_or_default(),
            ..Pod::default()
        })
    };
    table.rows.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_printed_table_gives_rows_without_identity() {
        let columns = ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node"]
            .map(|name| json!({"name": name, "type": "string"}));
        let table = json!({"kind": "Table", "columnDefinitions": columns, "rows": [
            {"cells": ["a", "1/2", "CrashLoopBackOff", "3 (5m ago)", "5d", "<none>", "n1"], "object": null},
            {"cells": ["b", "0/1", "Terminating", 7, "5d", "<none>", "<none>"], "object": null},
            {"cells": ["odd"], "object": null},
        ]});
        let rows = pods("ns", table.to_string().as_bytes());
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].ready, rows[0].containers, rows[0].restarts), (1, 2, 3));
        assert_eq!((rows[0].status.as_str(), rows[0].node.as_str()), ("CrashLoopBackOff", "n1"));
        assert_eq!((rows[1].restarts, rows[1].node.as_str(), rows[1].deleting), (7, "", true));
        assert!(rows.iter().all(|r| r.uid.is_empty() && r.created.is_none()));
        assert!(pods("ns", b"{}").is_empty());
        assert!(pods("ns", br#"{"columnDefinitions": [], "rows": [{"cells": []}]}"#).is_empty());
    }
}

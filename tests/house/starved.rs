//! Guards are judged as time passes, however much happens that none of them names.

use crate::rehearsals::{on_lab_time, operator, small, what};
use crate::support::driver;
use holdpoint::cli::lab::play::{BEGINS, Play, begin};
use holdpoint::event::{Event, Span};
use holdpoint::lab::kube::{Key, kind};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_guard_on_the_time_is_judged_while_classes_change_all_the_while() {
    let over = BEGINS + Span::secs(20);
    let text = format!(
        r#"
format = 1
id = "late"
title = "Late"
owner = "tests"
[[guard]]
id = "late"
that = 'now < timestamp("{over}")'
says = "there is time"
for = "0s"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "wait"
title = "Wait"
[phase.step.manual]
instruction = "Wait."
[[phase.step.gate]]
id = "pods"
that = 'pods.exists(p, p.namespace == "vault")'
says = "there are pods"
"#
    );
    let play = Play { params: vec![], ..what(&text, &[], operator(), small()) };
    let played = on_lab_time(async {
        let playing = begin(play, driver()).await.unwrap();
        let class = Key::new(kind("storageclasses.storage.k8s.io").unwrap(), "", "nfs-proxmox");
        for n in 0..150 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let policy = if n % 2 == 0 { "Retain" } else { "Delete" };
            let change = |class: &mut Value| class["reclaimPolicy"] = json!(policy);
            playing.lab.with(|world| world.store.update(&class, change)).unwrap();
        }
        playing.end(false).await.unwrap()
    });
    let changes = played.entries.iter().filter(|e| matches!(e.event, Event::Observed { .. }));
    assert!(changes.count() > 100, "they were told");
    let breached = played.entries.iter().find(|e| matches!(e.event, Event::GuardBreached { .. }));
    let late = breached.expect("a breach").at.since(over);
    assert!(late < Span::secs(4), "{late} late");
}

//! What the shipped runbook leaves for later: looked at on the site, when the run is over.

use super::{RUNBOOK, on_lab_time, operator, small, what};
use crate::support::driver;
use holdpoint::cli::lab::play::begin;
use holdpoint::cli::lab::rehearse::lab_site;
use holdpoint::event::{Span, Verdict};
use holdpoint::lab::{clock, open};
use holdpoint::observe;
use holdpoint::run::{State, due_judged, due_reading};
use holdpoint::session::unattended;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{Api, DeleteParams};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn the_old_volumes_are_seen_to_be_there_until_they_are_removed() {
    on_lab_time(async {
        let playing = begin(what(RUNBOOK, &[], operator(), small()), driver()).await.unwrap();
        assert!(unattended(&playing.handle, &driver(), &operator(), &mut |_| true).await);
        let state = State::clone(&playing.handle.live.borrow().state);
        let clock = clock(playing.lab.with(|world| world.now));
        let remote = Arc::new(open(&playing.lab, lab_site().unwrap(), clock));
        let check = state.runbook.followups[0].check.as_ref().unwrap();
        let look = async || {
            let changes = observe::read(&remote, &due_reading(&state, check)).await;
            due_judged(&state, check, &changes, remote.now())
        };
        let judged = look().await;
        assert_eq!(judged.verdict, Verdict::Fail, "{judged:?}");
        let client = remote.kube.as_ref().unwrap().clone();
        let volumes: Api<PersistentVolume> = Api::all(client);
        let old: Vec<String> =
            serde_json::from_value(state.evidence["old_volumes"].clone()).unwrap();
        assert_eq!(old.len(), 6);
        for (nth, volume) in old.iter().enumerate() {
            assert_eq!(look().await.verdict, Verdict::Fail, "{nth} of them are gone");
            volumes.delete(volume, &DeleteParams::default()).await.unwrap();
        }
        let gone = async {
            while look().await.verdict != Verdict::Pass {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        // On what was read while the run went on nobody says that they are gone.
        let later = remote.now() + Span::secs(3600);
        assert_eq!(due_judged(&state, check, &[], later).verdict, Verdict::Inconclusive);
        playing.end(true).await.unwrap();
    });
}

//! A runbook that names a file of this machine itself.

use super::{RUNBOOK, on_lab_time, operator, play, small, what};
use holdpoint::lab::site::new_manifest;
use std::path::Path;
use std::process::Command;

/// Applies that file.
fn book(manifest: &Path) -> String {
    format!(
        "format = 1\nid = \"apply\"\ntitle = \"Apply\"\nowner = \"t\"\n\
         [[phase]]\nid = \"a\"\ntitle = \"A\"\n\
         [[phase.step]]\nid = \"s\"\ntitle = \"S\"\n\
         do.kube.apply = {{ manifest = \"{}\" }}\nundo.none = \"a test\"\n\
         [phase.step.verify]\nthat = 'true'\nsettle = \"1 in 1s\"\nwithin = \"10s\"\n",
        manifest.display()
    )
}

fn told(manifest: &Path) -> String {
    let mut lines = Vec::new();
    let mut out = |line| {
        lines.push(line);
        true
    };
    let mut play_ = what(&book(manifest), &[], operator(), small());
    play_.params.clear();
    let played = on_lab_time(play(play_, &mut out)).unwrap();
    lines.extend(played.report());
    lines.join("\n")
}

#[test]
fn what_was_read_of_this_machine_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("set.yaml");
    std::fs::write(&manifest, new_manifest()).unwrap();
    let told = told(&manifest);
    assert!(told.contains(&format!("read from this machine: {}", manifest.display())), "{told}");
}

/// A mistake in the new manifest is found while the old StatefulSet still stands.
#[test]
fn a_manifest_that_is_no_successor_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("set.yaml");
    for (from, to, says) in [
        ("replicas: 3", "replicas: 1", "its replicas: 1, the set's: 3"),
        ("OnDelete", "RollingUpdate", "its update strategy"),
    ] {
        assert!(new_manifest().contains(from));
        std::fs::write(&manifest, new_manifest().replace(from, to)).unwrap();
        let mut play_ = what(RUNBOOK, &[], operator(), small());
        play_.params.push(format!("manifest={}", manifest.display()));
        let played = on_lab_time(play(play_, &mut |_| true)).unwrap();
        let told = played.report().join("\n");
        assert!(!played.done && told.contains("stopped at statefulset/orphan"), "{told}");
        let s = &played.state.steps[&"statefulset/orphan".parse().unwrap()];
        assert!(
            s.proposal_error.as_ref().is_some_and(|e| e.contains(says)),
            "{:?}",
            s.proposal_error
        );
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, why) in
        [(&*pipe, "no regular file; name one"), ("/dev/zero".as_ref(), "no regular file")]
    {
        let told = told(path);
        assert!(told.contains(why) && !told.contains("read from this machine"), "{told}");
    }
    let large = dir.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(4 << 20).unwrap();
    let told = told(&large);
    assert!(told.contains("more than 3145728 bytes"), "{told}");
}

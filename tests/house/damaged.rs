//! A journal that is damaged in the middle, taken up line by line: what is said of it is so.

use crate::redlined::{holdpoint, left};
use holdpoint::journal::FILE;

#[test]
fn what_is_said_of_a_damaged_journal_is_so() {
    for answers in [&[][..], &["--answers", "both.toml"]] {
        let (dir, run) = left();
        let file = run.join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let name = run.file_name().unwrap().to_str().unwrap();
        let resume = ["resume", name, "--headless"];
        let (code, told) = holdpoint(dir.path(), &[&resume[..], answers].concat());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("SHOW-ONLY: the journal is tampered"), "{told}");
        assert!(told.contains("begin another run of the runbook"), "{told}");
        // It is not moved, no disk is at fault, and no other resume goes further.
        for untrue in
            ["journal move", "cannot be written", "see to its", "resume goes on", "stays open"]
        {
            assert!(!told.contains(untrue), "{untrue}: {told}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

/// What a process leaves that ended at once is told from damage, with what follows from it.
#[test]
fn a_directory_in_which_nothing_was_begun_is_told_from_a_damaged_one() {
    let (dir, run) = left();
    let file = run.join(FILE);
    let bytes = std::fs::read(&file).unwrap();
    let header = bytes.iter().position(|b| *b == b'\n').unwrap();
    let name = run.file_name().unwrap().to_str().unwrap();
    let resume = ["resume", name, "--headless"];
    let all = [&["runs"][..], &resume, &["resume", "--headless"], &["verify", name]];
    for (length, what) in
        [(0, "is empty"), (1, "first line was cut"), (header, "first line was cut")]
    {
        std::fs::write(&file, &bytes[..length]).unwrap();
        for args in all {
            let (_, told) = holdpoint(dir.path(), args);
            let begun = "nothing was begun in it, and its directory can be put away";
            assert!(told.contains(what) && told.contains(begun), "{length}, {args:?}: {told}");
            assert!(!told.contains("holdpoint verify"), "{length}, {args:?}: {told}");
        }
        assert!(holdpoint(dir.path(), &["runs"]).1.contains("not begun"), "{length}");
    }
    let mut other = bytes.clone();
    other[header / 2] ^= 1;
    for damaged in [other.as_slice(), b"no journal\n"] {
        std::fs::write(&file, damaged).unwrap();
        for args in &all[..3] {
            let (_, told) = holdpoint(dir.path(), args);
            assert!(told.contains(&format!("holdpoint verify runs/{name}")), "{args:?}: {told}");
            assert!(!told.contains("nothing was begun"), "{args:?}: {told}");
        }
    }
}

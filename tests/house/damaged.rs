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

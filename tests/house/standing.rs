//! A run that cannot be taken up without being named: which, why, and what to do.

use crate::redlined::{holdpoint, left};
use holdpoint::journal::{FILE, FileDisk, mark_moved};

#[test]
fn a_run_that_is_open_elsewhere_is_named_with_its_process() {
    let (dir, run) = left();
    let name = run.file_name().unwrap().to_str().unwrap();
    let _held = FileDisk::reopen(&run).unwrap();
    let wanted = format!("{name} is open in another process (pid {}): ", std::process::id());
    for args in [&["resume", "--headless"][..], &["soak"], &["resume", "--headless", name]] {
        let (code, told) = holdpoint(dir.path(), args);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(&wanted) && told.contains("end that process"), "{args:?}: {told}");
    }
}

#[test]
fn runs_that_moved_or_cannot_be_read_are_named_with_what_to_do() {
    let (dir, run) = left();
    let name = run.file_name().unwrap().to_str().unwrap();
    let none = |wanted: &[&str]| {
        for args in [&["resume", "--headless"][..], &["soak"]] {
            let (code, told) = holdpoint(dir.path(), args);
            assert_eq!(code, Some(2), "{told}");
            assert!(wanted.iter().all(|w| told.contains(w)), "{wanted:?}: {told}");
        }
    };
    mark_moved(&run, "/elsewhere/one").unwrap();
    none(&[&format!("{name} goes on in /elsewhere/one; resume it there")]);
    let text = std::fs::read_to_string(run.join(FILE)).unwrap();
    std::fs::write(run.join(FILE), text.replacen("only/first", "only/other", 1)).unwrap();
    none(&[&format!("{name} is damaged: "), &format!("holdpoint verify runs/{name} ")]);
    std::fs::write(run.join(FILE), "no journal\n").unwrap();
    none(&[&format!("{name} cannot be read: "), &format!("holdpoint verify runs/{name}")]);
    std::fs::remove_dir_all(&run).unwrap();
    none(&["there is no open run in runs"]);
}

//! What lies beside a journal: what was torn off it, where its run goes on, who writes it.

use super::*;
use std::path::Path;

/// A new run's directory, closed again.
fn closed(root: &Path) -> std::path::PathBuf {
    let dir = root.join("run");
    drop(FileDisk::create(&dir).unwrap());
    dir
}

/// Opens it. A program that another test starts holds what is open here, locks as well, for the
/// moment until it is that program.
fn opened(dir: &Path) -> FileDisk {
    for _ in 0..500 {
        match FileDisk::reopen(dir) {
            Err(JournalError::Locked(_)) => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other.unwrap().0,
        }
    }
    panic!("{} stays locked", dir.display())
}

/// A journal that is torn twice at the same place loses neither tail.
#[test]
fn what_was_torn_off_before_is_kept_as_well() {
    let root = tempfile::tempdir().unwrap();
    let dir = closed(root.path());
    let mut disk = opened(&dir);
    for tail in ["first", "second"] {
        std::fs::write(dir.join(FILE), format!("whole{tail}")).unwrap();
        let name = disk.set_aside(&dir, 5, tail.as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), tail);
        assert_eq!(std::fs::read_to_string(dir.join(FILE)).unwrap(), "whole");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3);
}

/// Where there is no place for it, it stays where it is.
#[test]
fn what_cannot_be_set_aside_is_not_cut_off() {
    let root = tempfile::tempdir().unwrap();
    let dir = closed(root.path());
    let mut disk = opened(&dir);
    std::fs::write(dir.join(FILE), "wholetorn").unwrap();
    assert!(disk.set_aside(&root.path().join("gone"), 5, b"torn").is_err());
    assert_eq!(std::fs::read_to_string(dir.join(FILE)).unwrap(), "wholetorn");
}

#[test]
fn a_run_is_written_while_somebody_has_it_open() {
    let root = tempfile::tempdir().unwrap();
    let dir = closed(root.path());
    let disk = opened(&dir);
    assert!(is_written(&dir));
    drop(disk);
    let free = |_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        !is_written(&dir)
    };
    assert!((0..500).any(free));
    assert!(!is_written(&root.path().join("none")), "nor is what is not there");
}

#[test]
fn a_mark_says_once_where_a_run_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    assert_eq!(moved_to(dir), None);
    mark_moved(dir, "/runs/\u{1b}[31mthere").unwrap();
    let told = moved_to(dir).unwrap();
    assert!(told.starts_with("/runs/") && told.ends_with("there"), "{told}");
    assert!(!told.contains('\u{1b}'), "it is for people: {told:?}");
    assert!(mark_moved(dir, "/runs/elsewhere").is_err(), "the first one stands");
    assert_eq!(moved_to(dir), Some(told));
}

/// A full disk takes a name and no text; whatever else lies there under its name says nothing.
#[test]
fn only_a_file_is_a_mark() {
    let root = tempfile::tempdir().unwrap();
    let (dir, mark) = (root.path(), root.path().join("moved-to"));
    std::fs::write(&mark, "").unwrap();
    assert_eq!(moved_to(dir).as_deref(), Some(ELSEWHERE));
    let text = dir.join("text");
    std::fs::rename(&mark, &text).unwrap();
    std::fs::write(&text, "/runs/there").unwrap();
    std::os::unix::fs::symlink(&text, &mark).unwrap();
    assert_eq!(moved_to(dir), None, "a link");
    std::fs::remove_file(&mark).unwrap();
    std::fs::create_dir(&mark).unwrap();
    assert_eq!(moved_to(dir), None, "a directory");
}

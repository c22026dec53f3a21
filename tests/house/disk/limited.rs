//! What is not written through the writer: a journal that is made, and a torn tail that is set aside,
//! where no file may grow (a process limit, which fails as a full disk does).

use crate::pty::HOLDPOINT;
use crate::redlined::{holdpoint, left};
use holdpoint::journal::{FILE, Verdict, read};
use std::path::Path;
use std::process::{Command, Stdio};

/// The same command, in a shell whose files cannot grow.
fn limited(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", HOLDPOINT])
        .args(args)
        .args(["--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

#[test]
fn a_torn_tail_that_cannot_be_set_aside_stays_where_it_is() {
    let (dir, run) = left();
    let file = run.join(FILE);
    let whole = std::fs::read(&file).unwrap();
    let torn = [&whole[..], b"{\"seq\":"].concat();
    std::fs::write(&file, &torn).unwrap();
    let resume = ["resume", "--headless", "--answers", "both.toml"];
    let (code, told) = limited(dir.path(), &resume);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("/torn-") && told.contains("File too large"), "{told}");
    assert_eq!(std::fs::read(&file).unwrap(), torn, "nothing of it was cut");
    let beside = || {
        let all = std::fs::read_dir(&run).unwrap().map(|f| f.unwrap().file_name());
        all.filter(|f| f.to_string_lossy().starts_with("torn-")).count()
    };
    assert_eq!(beside(), 0, "half a copy is none");
    // Where there is room again, it is set aside, and the run goes on to its end.
    let (code, told) = holdpoint(dir.path(), &resume);
    assert_eq!((code, beside()), (Some(0), 1), "{told}");
    assert_eq!(read(&run).unwrap().verdict, Verdict::Complete);
}

#[test]
fn a_run_whose_journal_cannot_be_made_does_nothing() {
    let (dir, run) = left();
    std::fs::remove_dir_all(run.parent().unwrap()).unwrap();
    let book = std::fs::read_to_string(dir.path().join("book.toml")).unwrap();
    std::fs::write(dir.path().join("book.toml"), book.replace("echo first", "echo > done"))
        .unwrap();
    let begin =
        ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers", "both.toml"];
    let (code, told) = limited(dir.path(), &begin);
    assert_ne!(code, Some(0), "{told}");
    assert!(told.contains("File too large"), "{told}");
    assert!(!dir.path().join("done").exists(), "{told}");
}

//! A journal that was being moved when its process ended: of both places, at most one goes on.

use super::{BEGAN, Begun, status};
use crate::pty::HOLDPOINT;
use crate::support::{driver, header};
use holdpoint::event::Mode;
use holdpoint::journal::{Disk, FILE, FileDisk, moved_to};
use holdpoint::run::Status;
use holdpoint::session::{Keep, reopen};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// The old place's disk. What lies in both places when it is about to be told that the run goes on
/// elsewhere is kept: that is what a process leaves that ends right there.
struct Cut {
    disk: FileDisk,
    places: [PathBuf; 2],
    left: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Disk for Cut {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if String::from_utf8_lossy(bytes).contains(r#""type":"moved""#) {
            let left = self.places.iter().map(|dir| std::fs::read(dir.join(FILE)));
            *self.left.lock().unwrap() = left.collect::<io::Result<_>>()?;
        }
        self.disk.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()
    }
}

/// A run that was moved by choice, and what it left in both places.
struct Moved {
    root: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
    /// In the middle of it.
    cut: Vec<Vec<u8>>,
    /// When it had gone on in the new place.
    over: Vec<Vec<u8>>,
}

impl Moved {
    async fn by_choice() -> Self {
        let root = tempfile::tempdir().unwrap();
        let name = header("", Mode::Write).run;
        let (old, new) = (root.path().join("old").join(&name), root.path().join("new").join(&name));
        let left = Arc::new(Mutex::new(Vec::new()));
        let disk = FileDisk::create(&old).unwrap();
        let cut = Cut { disk, places: [old.clone(), new.clone()], left: Arc::clone(&left) };
        let begun = Begun::behind(Box::new(cut), Some(old.clone()), false).await;
        begun.until("ready", |l| status(l) == Some(Status::Ready)).await;
        let dir = begun.handle.move_journal(&driver(), new.parent().unwrap()).await.unwrap();
        assert_eq!(dir, new);
        // Something happens there.
        begun.review().await;
        begun.handle.close();
        drop(begun);
        let over = [&old, &new].map(|dir| std::fs::read(dir.join(FILE)).unwrap()).to_vec();
        let cut = left.lock().unwrap().clone();
        assert_eq!(cut.len(), 2, "the old place was told");
        let moved = Self { root, old, new, cut, over };
        // Who wrote them has let go.
        while !moved.free() {
            std::thread::yield_now();
        }
        moved
    }

    fn free(&self) -> bool {
        [&self.old, &self.new].iter().all(|dir| !holdpoint::journal::is_written(dir))
    }

    /// Puts both places back.
    fn put(&self, old: &[u8], new: &[u8]) {
        std::fs::write(self.old.join(FILE), old).unwrap();
        std::fs::write(self.new.join(FILE), new).unwrap();
        let _ = std::fs::remove_file(self.old.join("moved-to"));
    }

    /// What `resume` says of a place, and whether it may go on there.
    fn may(&self, dir: &Path) -> (bool, String) {
        let at = dir.display().to_string();
        let out = Command::new(HOLDPOINT).args(["resume", &at, "--headless"]).output().unwrap();
        let told = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{told}");
        // A lab's own run is never taken up without its cockpit: that is asked last.
        let by_command = told.contains("goes on in the cockpit only");
        // Whoever had it last lets go of it on a thread of its own.
        while holdpoint::journal::is_written(dir) {
            std::thread::yield_now();
        }
        let resumed = reopen(dir).unwrap();
        let resumed = resumed.resume(driver(), Arc::new(|| BEGAN), &Keep::Loosely);
        if let Err(why) = &resumed {
            assert!(told.contains(&why.to_string()), "{told}\n{why}");
        }
        (by_command && resumed.is_ok(), told)
    }

    fn runs(&self, dir: &Path) -> String {
        let state = dir.parent().unwrap().display().to_string();
        let out = Command::new(HOLDPOINT).args(["runs", "--state", &state]).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }
}

#[tokio::test]
async fn of_a_move_that_was_cut_only_the_old_place_goes_on() {
    let moved = Moved::by_choice().await;
    moved.put(&moved.cut[0], &moved.cut[1]);
    let (may, told) = moved.may(&moved.new);
    assert!(!may && told.contains("was not finished"), "{told}");
    for place in [&moved.old, &moved.new] {
        assert!(told.contains(&place.display().to_string()), "{told}");
    }
    assert!(moved.may(&moved.old).0);
    assert!(moved.runs(&moved.new).contains("  left behind  "), "{}", moved.runs(&moved.new));
    assert!(moved.runs(&moved.old).contains("  open  "), "{}", moved.runs(&moved.old));
    // Once the old place was told, it is the other way round, also where nothing came after.
    moved.put(&moved.over[0], &moved.cut[1]);
    let (may, told) = moved.may(&moved.old);
    assert!(!may && told.contains("goes on in"), "{told}");
    assert!(moved.may(&moved.new).0);
}

/// That is what moving is for.
#[tokio::test]
async fn where_the_old_place_cannot_be_read_the_new_one_goes_on() {
    let moved = Moved::by_choice().await;
    for new in [&moved.cut[1], &moved.over[1]] {
        moved.put(&moved.cut[0], new);
        let away = moved.root.path().join("away");
        std::fs::rename(&moved.old, &away).unwrap();
        assert!(moved.may(&moved.new).0, "not there");
        std::fs::create_dir(&moved.old).unwrap();
        let pipe = Command::new("mkfifo").arg(moved.old.join(FILE)).status().unwrap();
        assert!(pipe.success());
        assert!(moved.may(&moved.new).0, "it hangs");
        // Whoever waits at the pipe is let go.
        let at = moved.old.join(FILE);
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&at).unwrap());
        std::fs::remove_dir_all(&moved.old).unwrap();
        std::fs::rename(&away, &moved.old).unwrap();
    }
}

/// The run was moved from a disk that took no word of it, and takes one again.
#[tokio::test]
async fn an_old_place_that_could_not_be_told_is_told_before_the_new_one_goes_on() {
    let moved = Moved::by_choice().await;
    moved.put(&moved.cut[0], &moved.over[1]);
    // Looking changes nothing.
    assert!(moved.runs(&moved.new).contains("  open  "));
    assert_eq!(moved_to(&moved.old), None);
    // Another process has it open: then there would be two.
    let (held, _) = FileDisk::reopen(&moved.old).unwrap();
    let resumed = reopen(&moved.new).unwrap();
    let resumed = resumed.resume(driver(), Arc::new(|| BEGAN), &Keep::Loosely);
    let why = resumed.err().unwrap().to_string();
    assert!(why.contains("another holdpoint has open"), "{why}");
    drop(held);
    assert!(moved.may(&moved.new).0);
    assert_eq!(moved_to(&moved.old), Some(moved.new.display().to_string()));
    let (may, told) = moved.may(&moved.old);
    assert!(!may && told.contains(&format!("goes on in {}", moved.new.display())), "{told}");
    assert!(moved.may(&moved.new).0, "as often as it takes");
}

/// Whichever of two that know nothing of each other comes first, the other one does not follow.
#[tokio::test]
async fn an_old_place_that_was_taken_up_again_is_where_the_run_goes_on() {
    let moved = Moved::by_choice().await;
    for new in [&moved.cut[1], &moved.over[1]] {
        let up = taken_up(&moved);
        moved.put(&up, new);
        let (may, told) = moved.may(&moved.new);
        assert!(!may && told.contains("was taken up again after that"), "{told}");
    }
    // Nor does what it went on in before it was moved once more.
    let other = moved.root.path().join("third");
    moved.put(&moved.cut[0], &moved.over[1]);
    std::fs::write(moved.old.join("moved-to"), other.display().to_string()).unwrap();
    let (may, told) = moved.may(&moved.new);
    assert!(!may && told.contains(&format!("goes on in {}", other.display())), "{told}");
    // A place that was renamed is told of by hand, as it says.
    let says = told.split_once("say so: ").unwrap().1.lines().next().unwrap();
    assert!(Command::new("sh").args(["-c", says]).status().unwrap().success());
    assert!(moved.may(&moved.new).0, "{says}");
}

/// The old place's journal as it was cut, with an entry that says that it was taken up.
fn taken_up(moved: &Moved) -> Vec<u8> {
    use holdpoint::event::{Entry, Event};
    moved.put(&moved.cut[0], &moved.cut[1]);
    let state = reopen(&moved.old).unwrap().state;
    let resumed = reopen(&moved.old).unwrap();
    let resumed = resumed.resume(driver(), Arc::new(|| BEGAN), &Keep::Loosely).unwrap();
    let event = Event::Resumed { version: "1".into() };
    let entry = Entry { seq: state.seq + 1, at: BEGAN, actor: driver(), event };
    resumed.writer.append(vec![entry], true, Box::new(drop));
    drop(resumed);
    std::fs::read(moved.old.join(FILE)).unwrap()
}

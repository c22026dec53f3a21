//! A program that prints without measure: journal and memory stay small, and what it prints steers
//! nothing.

use crate::pty::HOLDPOINT;
use holdpoint::event::{Event, Outcome};
use holdpoint::journal::{Verdict, read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const MB: u64 = 1 << 20;

fn begin(dir: &Path, script: &str) -> Child {
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    // Nothing is reached by it, so nothing is to be pinned.
    put("site.toml", "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n");
    put("site.pins.toml", "");
    put("answers.toml", "[release]\n'only/print' = ''\n");
    put(
        "book.toml",
        &format!(
            "format = 1\nid = \"print\"\ntitle = \"It prints\"\nowner = \"tests\"\n[[phase]]\n\
             id = \"only\"\ntitle = \"Only\"\n[[phase.step]]\nid = \"print\"\ntitle = \"Print\"\n\
             hold = \"release\"\nprobe = 'false'\n\
             do.shell.run = {{ argv = [\"sh\", \"-c\", {script:?}], timeout = \"20m\" }}\n"
        ),
    );
    Command::new(HOLDPOINT)
        .args(["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--answers"])
        .args(["answers.toml", "--state", "runs"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(dir.join("out")).unwrap())
        .spawn()
        .unwrap()
}

/// The most memory that it has had so far, in bytes.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Its journal, and the most memory that was seen.
fn ended(dir: &Path, mut child: Child) -> (holdpoint::journal::Read, u64) {
    let mut most = 0;
    let status = loop {
        most = most.max(peak(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let out = std::fs::read(dir.join("out")).unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&out[..out.len().min(4000)]));
    let run = std::fs::read_dir(dir.join("runs")).unwrap().next().unwrap().unwrap().path();
    (read(&run).unwrap(), most)
}

#[test]
fn a_flood_fills_neither_the_journal_nor_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    // One endless line of nothing, then lines, then the line that matters.
    let bytes = std::env::var("HOLDPOINT_FLOOD").unwrap_or_else(|_| "100000000".into());
    let script = format!(
        "head -c {bytes} /dev/zero; seq 1 1000000; head -c 1000000 /dev/urandom; echo; echo the end"
    );
    let (journal, most) = ended(dir.path(), begin(dir.path(), &script));
    println!("journal {} bytes, memory {most} bytes", journal.valid_bytes);
    assert_eq!(journal.verdict, Verdict::Complete);
    assert!(journal.valid_bytes < 32 * MB, "{}", journal.valid_bytes);
    assert!(most < 256 * MB, "{most}");
    let printed: Vec<&str> = journal
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Output { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(printed.last(), Some(&"the end"));
    assert!(printed.iter().any(|l| l.ends_with("bytes of output were not kept")));
    let ended = journal.entries.iter().find_map(|e| match &e.event {
        Event::EffectEnded { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    assert_eq!(ended, Some(Outcome::Ok));
}

/// In the journal and on the terminal.
#[test]
fn what_it_prints_steers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let script = r"head -c 300000 /dev/urandom; printf '\033]52;c;eA==\007\033[2J\r\033P1$r\033\\\302\233Kfree\342\200\256text\n'";
    let (journal, _) = ended(dir.path(), begin(dir.path(), script));
    let out = String::from_utf8(std::fs::read(dir.path().join("out")).unwrap()).unwrap();
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t' | '\u{1b}')
            || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    for e in &journal.entries {
        let Event::Output { text, .. } = &e.event else { continue };
        assert!(!text.contains(steers), "{text:?}");
        let colour = |at: usize| {
            let rest = text[at..].strip_prefix("\u{1b}[").unwrap_or("!");
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        };
        assert!(text.match_indices('\u{1b}').all(|(at, _)| colour(at)), "{text:?}");
    }
    assert!(out.contains("free") && !out.contains(steers), "{out:?}");
    assert!(!out.contains("\u{1b}[2J") && !out.contains("\u{1b}]"));
}

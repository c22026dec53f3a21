//! `holdpoint runs --due --walk`: what is due, one after another: what its check sees, and a word
//! of whoever looks.

use crate::cli::due::look::Sites;
use crate::cli::due::{Asked, Left, Segment, gathered, last, opened, person, seen, when};
use crate::cli::{UNDONE, refuse, runtime, site, waited};
use crate::event::Judged;
use crate::run::reasonable;
use crate::session::{Word, follow, left};
use crate::text::clean_line;
use std::process::ExitCode;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

const HELP: &str = "done REASON · override REASON · look · next · quit";

/// What the person says of one.
enum Said<'a> {
    Done { reason: &'a str, overrides: bool },
    Look,
    Next,
    Quit,
    Else,
}

impl<'a> Said<'a> {
    fn of(line: &'a str) -> Self {
        let (word, reason) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let reason = reason.trim();
        match word {
            "done" => Self::Done { reason, overrides: false },
            "override" => Self::Done { reason, overrides: true },
            "look" if reason.is_empty() => Self::Look,
            "next" if reason.is_empty() => Self::Next,
            "quit" if reason.is_empty() => Self::Quit,
            _ => Self::Else,
        }
    }
}

/// How one was left.
enum After {
    Done,
    Left,
    Quit,
}

/// Goes through what is due. Exit status 1 where some of it is left, or a run's list cannot be read.
pub(crate) fn walk(asked: &Asked<'_>) -> ExitCode {
    let (all, lost) = match gathered(asked.state) {
        Ok(gathered) => gathered,
        Err(why) => return refuse(&why),
    };
    let now = site::clock()();
    // What a demo left went with its site.
    let open = |left: &Left| {
        left.row.due.done.is_none() && !(left.row.lab && left.state.header.site_from.is_empty())
    };
    let (due, later): (Vec<_>, Vec<_>) =
        all.into_iter().filter(open).partition(|left| left.row.due.due <= now);
    match waited(runtime(), Walk::new(asked.site).all(&due)) {
        Ok(done) => {
            let left = due.len() - done;
            match due.len() {
                // Of a run that cannot be read nobody knows.
                0 if lost => {}
                0 => outln!("nothing is due"),
                all => outln!("{done} of {all} due are done"),
            }
            if let Some(first) = later.first() {
                let when = when(first.row.due.due, now);
                outln!("{} not due yet, the first {when}", later.len());
            }
            if lost || left > 0 { ExitCode::from(UNDONE) } else { ExitCode::SUCCESS }
        }
        Err(why) => refuse(&why),
    }
}

struct Walk {
    sites: Sites,
    lines: Lines<BufReader<Stdin>>,
}

impl Walk {
    fn new(site: Option<&str>) -> Self {
        let lines = BufReader::new(tokio::io::stdin()).lines();
        Self { sites: Sites::new(site), lines }
    }

    /// How many of them are done.
    async fn all(mut self, due: &[Left]) -> usize {
        let mut done = 0;
        for (at, left) in due.iter().enumerate() {
            let Left { row, .. } = left;
            let (run, id, owner) = (&row.run, &row.due.id, clean_line(&row.due.owner));
            outln!("{} of {}: {}", at + 1, due.len(), clean_line(&row.due.title));
            let due = when(row.due.due, site::clock()());
            outln!("  {id} of {run} on {}, {owner}, {due}", row.site);
            match self.one(left).await {
                After::Done => done += 1,
                After::Left => {}
                After::Quit => break,
            }
        }
        done
    }

    async fn one(&mut self, left: &Left) -> After {
        self.look(left).await;
        loop {
            outln!("  {HELP}");
            // Whoever closes their input has said all that they have to say.
            let Ok(Some(line)) = self.lines.next_line().await else { return After::Quit };
            match Said::of(line.trim()) {
                Said::Next => return After::Left,
                Said::Quit => return After::Quit,
                Said::Look => self.look(left).await,
                Said::Else => outln!("  that is none of these"),
                Said::Done { reason, overrides } => {
                    match self.done(left, reason, overrides).await {
                        Ok(()) => {
                            outln!("  done; it is on record with the run");
                            return After::Done;
                        }
                        Err(why) => outln!("  {}", clean_line(&why)),
                    }
                }
            }
        }
    }

    async fn look(&mut self, left: &Left) {
        match self.judged(left).await {
            Some(judged) => outln!("  its check: {}", seen(&judged)),
            None => outln!("  it has no check: you say whether it is done"),
        }
    }

    async fn judged(&mut self, left: &Left) -> Option<Judged> {
        self.sites.judged(&left.state, &left.row.due.id).await
    }

    /// On what is seen now, and on the record as it is now: somebody else may have been faster.
    async fn done(&mut self, at: &Left, reason: &str, overrides: bool) -> Result<(), String> {
        reasonable(reason).map_err(|e| e.to_string())?;
        let Segment { dir, read, state } = last(opened(&at.dir)?)?;
        let id = &at.row.due.id;
        left(&dir, (&read, &state), id)?;
        let judged = self.judged(at).await;
        let word = Word { id, reason, judged, overrides };
        follow(&dir, (&read, &state), word, &person(), &site::clock())
            .map_err(|why| why.told("override REASON"))
    }
}

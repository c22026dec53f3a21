//! The line-oriented interface: the same life-cycle for pipes, screen readers and CI.

mod printer;
mod review;
mod soak;
mod unattended;

use crate::event::{Actor, Mode, Slot, StepAddr};
use crate::run::{HOW, Intent, State, left_for_later, over, said};
use crate::runbook::model::Phase;
use crate::session::answers::Answers;
use crate::session::handle::{Handle, Live};
use crate::site::is_lab;
use crate::ui::busy;
use printer::Printer;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use unattended::{Go, Unattended};

const HELP: &str = "commands: review · release [TEXT] · show · claim · unclaim · close · retry [ADDRESS] · accept · \
skip REASON · override GATE#MARK REASON · poll NAME go|no-go [REASON] · choose BRANCH · end-soak REASON · hold REASON · free · \
window START[/END] [REASON] · back [SECTION REASON] · forward REASON · take-lease [REASON] · \
journal move DIR · abort REASON · status · quit";

const MARK: &str = "the mark stands behind the gate's name wherever the gate is printed that does \
not pass, and names the failure that you read";

/// An unattended run answers this long after something changed.
const SETTLE: Duration = Duration::from_millis(1);

/// Where lines go; false: nobody reads them any more.
pub type Out<'a> = dyn FnMut(String) -> bool + 'a;

/// The lines of a run, and whether they are read.
struct Lines<'a> {
    out: &'a mut Out<'a>,
    lost: bool,
    /// It was said why nothing is recorded.
    show_only: Option<String>,
}

/// Whether a run goes on.
enum Told {
    On,
    /// Nothing can be recorded, and nothing is under way.
    ShowOnly,
    Over(bool),
}

impl<'a> Lines<'a> {
    fn say(&mut self, line: String) {
        self.lost |= !(self.out)(line);
    }

    /// First of all, whether anything may be written, which a screen's title says all the while. Where
    /// nothing can be recorded, that is said instead.
    fn opened(out: &'a mut Out<'a>, handle: &Handle) -> Self {
        let mut lines = Self { out, lost: false, show_only: None };
        let now = handle.live.borrow().clone();
        if now.show_only.is_some() {
            return lines;
        }
        let lab = if is_lab(&now.state.header.pins) { " (LAB)" } else { "" };
        let site = format!("site {}{lab}", now.state.header.site);
        lines.say(match now.state.header.mode {
            Mode::Write => format!("WRITE: what is released acts on {site}"),
            Mode::ReadOnly => format!("READ-ONLY: nothing is sent to {site} but questions"),
        });
        lines
    }

    /// Says what is new; whether the run is over, and how.
    fn told(&mut self, printer: &mut Printer, now: &Live) -> Told {
        printer.print(&now.state);
        printer.take().into_iter().for_each(|line| self.say(line));
        if let Some(done) = now.state.ended {
            if done {
                self.say(format!("the run is over: {}", over(&now.state)));
                left_for_later(&now.state).into_iter().for_each(|left| self.say(left));
            }
            return Told::Over(done);
        }
        // What was sent before is waited for.
        let Some(why) = now.show_only.as_ref().filter(|_| now.state.running.is_none()) else {
            self.show_only = None;
            return Told::On;
        };
        if self.show_only.as_ref() != Some(why) {
            let what = if now.damaged { "" } else { "the journal cannot be written: " };
            self.say(format!("SHOW-ONLY: {what}{why}"));
            self.say(now.way_out().into());
            self.show_only = Some(why.clone());
        }
        Told::ShowOnly
    }
}

/// Runs to the end, or until input ends or nobody reads what it says; what runs then, or was
/// released, is waited for. True if the change was done.
pub async fn plain<'a>(
    handle: &Handle,
    actor: &Actor,
    answers: Option<&Answers>,
    out: &'a mut Out<'a>,
) -> bool {
    if let Some(answers) = answers {
        return unattended(handle, actor, answers, out).await;
    }
    let mut out = Lines::opened(out, handle);
    let mut printer = Printer::default();
    let mut live = handle.live.clone();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut input_ended = false;
    loop {
        let now = live.borrow_and_update().clone();
        let told = out.told(&mut printer, &now);
        if let Told::Over(done) = told {
            return done;
        }
        let leaves = out.lost || input_ended;
        // In show-only what was released never runs.
        if leaves && (matches!(told, Told::ShowOnly) || busy(&now.state).is_none()) {
            let stays = if now.damaged { "" } else { "; the run stays open in its journal" };
            out.say(format!("input ended{stays}"));
            return false;
        }
        tokio::select! {
            changed = live.changed() => if changed.is_err() { return false; },
            line = lines.next_line(), if !leaves => match line {
                Ok(Some(line)) => match command(&now.state, line.trim()) {
                    Typed::Intent(intent) => {
                        if let Err(why) = handle.ask(actor, *intent).await {
                            out.say(format!("REFUSED: {why}"));
                        }
                    }
                    Typed::Move(to) => out.say(match handle.move_journal(actor, &to).await {
                        Ok(dir) => format!("journal: {}", dir.display()),
                        Err(why) => format!("REFUSED: {why}"),
                    }),
                    Typed::Status => printer.status(&now.state),
                    Typed::Say(text) => out.say(text),
                    Typed::Quit if busy(&now.state).is_some() && now.show_only.is_none() => out.say(
                        "REFUSED: something is running; wait for its result, then quit".into(),
                    ),
                    Typed::Quit => {
                        if let Some((_, step)) = &now.state.running {
                            out.say(format!("how {step} ends is not recorded: it is in doubt"));
                        }
                        out.say("left; the run stays open in its journal".into());
                        return false;
                    }
                },
                _ => input_ended = true,
            },
        }
    }
}

/// Goes by answers, a line for each piece of news, to the end or to what they do not answer, or
/// until nobody reads the lines; what runs then, or was released, is waited for. True if the
/// change was done.
pub async fn unattended<'a>(
    handle: &Handle,
    actor: &Actor,
    answers: &Answers,
    out: &'a mut Out<'a>,
) -> bool {
    let mut out = Lines::opened(out, handle);
    let mut printer = Printer::default();
    let mut live = handle.live.clone();
    let mut unattended = Unattended::new(answers);
    // Only for what nothing tells of: that it has been waited for long enough.
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    loop {
        let now = live.borrow_and_update().clone();
        match out.told(&mut printer, &now) {
            Told::On => {}
            Told::ShowOnly => return false,
            Told::Over(done) => return done,
        }
        if out.lost {
            if busy(&now.state).is_none() || live.has_changed().is_err() {
                return false;
            }
        } else {
            match unattended.step(handle, actor, &now.state).await {
                Go::On => {}
                Go::Over(what) => {
                    out.say(format!("{what}; the line stays held until a person frees it"));
                    return true;
                }
                Go::Stop(why) => {
                    out.say(format!("STOPPED: {why}"));
                    return false;
                }
            }
        }
        tokio::select! {
            biased;
            _ = live.changed() => {}
            _ = beat.tick() => {}
        }
        // What else follows from this moment comes first: on a lab, the same each time.
        tokio::time::sleep(SETTLE).await;
    }
}

enum Typed {
    Intent(Box<Intent>),
    Move(PathBuf),
    Status,
    Say(String),
    Quit,
}

fn command(state: &State, line: &str) -> Typed {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim().to_owned();
    let whole = |intent| Typed::Intent(Box::new(intent));
    match word {
        "" | "help" | "?" => return Typed::Say(HELP.into()),
        "status" => return Typed::Status,
        "quit" | "q" => return Typed::Quit,
        "hold" => return whole(Intent::HoldLine { reason: rest }),
        "free" => return whole(Intent::FreeLine),
        "journal" => match rest.strip_prefix("move ") {
            Some(to) => return Typed::Move(to.trim().into()),
            None => return Typed::Say("journal move DIR".into()),
        },
        "take-lease" => return whole(Intent::TakeLease { reason: rest }),
        "abort" => return whole(Intent::Abort { reason: rest }),
        "forward" => return whole(Intent::LeaveBack { reason: rest }),
        "window" => return window(state, &rest),
        "back" if rest.is_empty() => return Typed::Say(ways_back(state)),
        "back" => {
            let (section, reason) = rest.split_once(' ').unwrap_or((rest.as_str(), ""));
            return whole(Intent::GoBack { section: section.into(), reason: reason.into() });
        }
        _ => {}
    }
    let Some(step) = state.current() else {
        let held = state.held().map(|held| format!(": {held}")).unwrap_or_default();
        return Typed::Say(format!("no step's turn has come yet{held}"));
    };
    whole(match word {
        "review" => Intent::Review { step },
        "close" => Intent::CloseReview { step },
        "release" => {
            let digest =
                state.steps.get(&step).and_then(|s| s.proposal.as_ref()).map(|(_, d)| d.clone());
            Intent::Release { step, digest: digest.unwrap_or_default(), typed: rest }
        }
        "show" => Intent::Show { step },
        "claim" => Intent::Claim { step },
        "unclaim" => Intent::Unclaim { step },
        "retry" => match again(step, &rest) {
            Ok(step) => Intent::Retry { step },
            Err(why) => return Typed::Say(why),
        },
        "accept" => Intent::Accept { step },
        "skip" => Intent::Skip { step, reason: rest },
        "choose" => Intent::Choose { step, branch: rest },
        "end-soak" => Intent::EndSoak { step, reason: rest },
        "poll" => match said(&rest) {
            Some((who, go, reason)) => Intent::Poll { step, who, go, reason },
            None => return Typed::Say(format!("poll {HOW}")),
        },
        "override" => {
            let (gate, reason) = rest.split_once(' ').unwrap_or((rest.as_str(), ""));
            let Some((gate, seen)) = gate.rsplit_once('#') else {
                return Typed::Say(format!("`override {gate}#MARK REASON`: {MARK}"));
            };
            Intent::Override { step, gate: gate.into(), seen: seen.into(), reason: reason.into() }
        }
        other => return Typed::Say(format!("`{other}` is no command; {HELP}")),
    })
}

/// Another change window; from the last entry's time, where it says `now`.
fn window(state: &State, typed: &str) -> Typed {
    if typed.is_empty() {
        let window = state.window.map_or("none is set".into(), |w| w.to_string());
        let sets = match state.window {
            Some(_) => "window START[/END] REASON sets another",
            None => "window START[/END] sets one",
        };
        return Typed::Say(format!("change window: {window}; {sets}"));
    }
    let (typed, reason) = typed.split_once(' ').unwrap_or((typed, ""));
    match Slot::parse(typed, state.at, state.runbook.window.map(|w| w.length)) {
        Ok(window) => {
            let reason = reason.trim().to_owned();
            Typed::Intent(Box::new(Intent::SetWindow { window, reason }))
        }
        Err(why) => Typed::Say(format!("REFUSED: {why}")),
    }
}

/// The ways back, a line each.
fn ways_back(state: &State) -> String {
    let line = |way: &Phase| {
        let offered = if state.offers.contains_key(&way.id) { " (offered)" } else { "" };
        format!("  back {} REASON{offered}: {}", way.id, way.title)
    };
    let mut lines: Vec<_> = state.runbook.ways_back().map(line).collect();
    // The last one is `undo`.
    lines.extend(state.undone().into_iter().map(|line| format!("    {line}")));
    lines.join("\n")
}

/// The step that is tried again: the one in hand, or one that is asked again
/// whether it is needed.
fn again(in_hand: StepAddr, typed: &str) -> Result<StepAddr, String> {
    if typed.is_empty() {
        return Ok(in_hand);
    }
    typed.parse().map_err(|e| format!("{e}; `retry` alone is for {in_hand}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_was_not_needed_is_named_to_be_asked_again() {
        let hand: StepAddr = "roll[vault-0]/pod".parse().unwrap();
        assert_eq!(again(hand.clone(), "").unwrap(), hand);
        let named = again(hand.clone(), "roll[vault-0]/step-down").unwrap();
        assert_eq!(named.to_string(), "roll[vault-0]/step-down");
        let why = again(hand, "step-down").unwrap_err();
        assert!(why.contains("roll[vault-0]/pod"), "{why}");
    }
}

//! The step in hand: why, what it would do, may it, and its output.

use crate::event::{Judged, Probed, StepAddr, Time, Verdict};
use crate::run::{State, Status, StepState, any_skipped, left_for_later, over};
use crate::runbook::Template;
use crate::runbook::model::{Does, Risk};
use crate::ui::text::{cut, words};
use crate::ui::theme;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Columns of the labels.
pub(crate) const LABEL: usize = 8;

/// What the step's pane is called.
pub(crate) fn heading(state: &State) -> (String, String) {
    match state.current() {
        Some(addr) => {
            let risk = risk(state.step(&addr).map_or(Risk::Reversible, |s| s.risk));
            let status = state.steps.get(&addr).map(|s| s.status.to_string()).unwrap_or_default();
            (format!("5 Step {addr}"), format!("{risk} · {status}"))
        }
        None if state.ended == Some(true) && any_skipped(state) => ("5 Over".into(), String::new()),
        None if state.ended == Some(true) => ("5 Done".into(), String::new()),
        None => ("5 Between steps".into(), String::new()),
    }
}

/// The commands of a step that can be run elsewhere; none before they are known.
pub(crate) fn commands(state: &State, addr: &StepAddr) -> Vec<String> {
    let proposal = state.steps.get(addr).and_then(|s| s.proposal.as_ref());
    if let Some((p, _)) = proposal {
        return p.commands.clone();
    }
    match state.step(addr).map(|s| &s.does) {
        Some(Does::Manual { command: Some(command), .. }) => vec![filled(state, addr, command)],
        _ => Vec::new(),
    }
}

pub(crate) fn filled(state: &State, addr: &StepAddr, text: &Template) -> String {
    let scope = state.scope(Some(addr), &state.world, &[], state.at);
    text.render(&scope).unwrap_or_else(|_| text.text.clone())
}

pub(crate) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Destructive => "destructive",
        Risk::PointOfNoReturn => "point of no return",
        Risk::Reversible => "reversible",
    }
}

/// Lines of a label and its text, cut to one line or whole.
pub(crate) struct Page {
    pub(crate) lines: Vec<Line<'static>>,
    width: usize,
    whole: bool,
}

impl Page {
    pub(crate) fn new(width: usize, whole: bool) -> Self {
        Self { lines: Vec::new(), width, whole }
    }

    pub(crate) fn say(&mut self, label: &str, text: &str, style: Style) {
        self.signed(label, None, text, "", style);
    }

    /// `tail` is an age: it stays when the text is cut.
    fn signed(
        &mut self,
        label: &str,
        sign: Option<(&'static str, Style)>,
        text: &str,
        tail: &str,
        style: Style,
    ) {
        let indent = if sign.is_some() { 2 } else { 0 };
        let room = self.width.saturating_sub(LABEL + indent);
        let lines = if self.whole {
            words(&format!("{text}{tail}"), room)
        } else {
            vec![format!("{}{tail}", cut(text, room.saturating_sub(tail.chars().count())))]
        };
        for (i, line) in lines.into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let mut spans = vec![Span::styled(format!("{label:<7} "), theme::dim())];
            if let Some((sign, style)) = sign {
                let sign = if i == 0 { sign } else { " " };
                spans.push(Span::styled(format!("{sign} "), style));
            }
            spans.push(Span::styled(line, style));
            self.lines.push(Line::from(spans));
        }
    }

    /// Gates with verdict, reason or values, and age.
    pub(crate) fn gates(&mut self, s: &StepState, now: Time) {
        for (i, g) in s.gates.iter().enumerate() {
            let overridden =
                s.overridden(g).map(|r| format!("  OVERRIDDEN: {r}")).unwrap_or_default();
            let age = g.judged.oldest().map(|t| format!("  {} ago", now.since(t).brief()));
            let basis = basis(&g.judged);
            let label = if i == 0 { "gates" } else { "" };
            let text = format!("{}{overridden}: {basis}", g.says);
            let sign = theme::verdict(g.judged.verdict);
            self.signed(label, Some(sign), &text, &age.unwrap_or_default(), theme::calm());
        }
    }
}

/// What a gate was judged on, in words: why it does not pass, and the values that it names.
pub(crate) fn basis(judged: &Judged) -> String {
    let values = judged.values.iter();
    // What says why has said the value.
    let values = values.filter(|v| !v.value.is_empty() && !says(judged, &v.name, &v.value));
    let values: Vec<_> = values.map(|v| format!("{} {}", v.name, v.value)).collect();
    // What fails says on what: `it is false` alone sends a person to look elsewhere.
    match (judged.why.as_str(), judged.verdict) {
        ("", _) => values.join(", "),
        (why, Verdict::Fail) if !values.is_empty() => format!("{why}; {}", values.join(", ")),
        (why, _) => why.to_owned(),
    }
}

fn says(judged: &Judged, name: &str, value: &str) -> bool {
    judged.why.contains(&format!("{name} is {value}"))
}

/// The pane's lines; `whole`: nothing is cut, it wraps.
pub(crate) fn lines(state: &State, width: usize, now: Time, whole: bool) -> Vec<Line<'static>> {
    let mut page = Page::new(width, whole);
    let Some(addr) = state.current() else { return ending(state, width) };
    let (Some(step), Some(s)) = (state.step(&addr), state.steps.get(&addr)) else {
        return Vec::new();
    };
    let title = if whole {
        words(&state.title(&addr), width)
    } else {
        vec![cut(&state.title(&addr), width)]
    };
    page.lines.extend(title.into_iter().map(|l| Line::styled(l, theme::bright())));
    // What wants a person stands before what explains.
    trouble(&mut page, s);
    for (id, g) in state.breached() {
        page.say("guard", &format!("✗ {id}: {}", g.judged.why), theme::alarm());
    }
    if let Some(why) = &step.why {
        page.say("why", &filled(state, &addr, why), theme::calm());
    }
    what(&mut page, state, &addr, s);
    let ways = if s.status == Status::InDoubt { state.ways_open() } else { Vec::new() };
    if !ways.is_empty() {
        page.say("back", &format!("B goes back instead: {}", ways.join(", ")), theme::calm());
    }
    page.gates(s, now);
    if let Some(v) = &s.verify {
        let passes = format!("{} passes in a row", s.settling.passes);
        let text = if v.why.is_empty() { &passes } else { &v.why };
        page.signed("verify", Some(theme::verdict(v.verdict)), text, "", theme::calm());
    }
    if let Some(undo) = step.undo_words() {
        page.say("undo", &undo, theme::calm());
    }
    said(&mut page, state, s, now);
    page.lines
}

/// Only what this very step said.
fn said(page: &mut Page, state: &State, s: &StepState, now: Time) {
    let since = s.began.unwrap_or(now);
    let said: Vec<_> = state.output.iter().filter(|l| l.at >= since).collect();
    let last = if page.whole { said.len() } else { 6 };
    for line in said.iter().skip(said.len().saturating_sub(last)) {
        page.say("  |", &crate::text::clean_line(&line.text), theme::dim());
    }
}

/// As a sentence begins.
fn begun(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

fn ending(state: &State, width: usize) -> Vec<Line<'static>> {
    let text = match (&state.aborted, state.ended) {
        (Some(reason), _) => format!("The run was aborted: {reason}"),
        (None, Some(true)) => {
            let later = left_for_later(state).map(|left| format!(" {}.", begun(&left)));
            let later = later.unwrap_or_default();
            format!("{}.{later} q leaves; the journal is closed.", begun(&over(state)))
        }
        (None, Some(false)) => "The run ended before it was done.".into(),
        (None, None) => "Looking at what comes next…".into(),
    };
    words(&text, width).into_iter().map(|l| Line::styled(l, theme::bright())).collect()
}

fn what(page: &mut Page, state: &State, addr: &StepAddr, s: &StepState) {
    match state.step(addr).map(|d| &d.does) {
        Some(Does::Action(call)) => match &s.proposal {
            Some((p, _)) => {
                page.say("will", &p.sentence, theme::calm());
                let n = p.commands.len();
                if let Some(first) = p.commands.first() {
                    let more = if n > 1 { format!("(1 of {n}, c: all) ") } else { String::new() };
                    page.say("do", &format!("{more}{first}"), theme::calm());
                }
            }
            None => {
                let text = format!("{}; Enter resolves it to the objects", call.verb);
                page.say("will", &text, theme::calm());
            }
        },
        Some(Does::Choose { question, branches }) => {
            page.say("asks", &filled(state, addr, question), theme::calm());
            for (id, title) in branches {
                page.say("", &format!("{id}: {title}"), theme::calm());
            }
        }
        Some(Does::Manual { instruction, command }) => {
            page.say("do", &filled(state, addr, instruction), theme::calm());
            if let Some(command) = command {
                page.say("", &filled(state, addr, command), theme::calm());
            }
        }
        Some(Does::Soak { length, .. }) => {
            let done = crate::event::Span(s.soak.observed_ms).brief();
            let text = format!("watched for {done} of {}", filled(state, addr, length));
            page.say("soak", &text, theme::calm());
            if let Some(unseen) = &s.soak.unseen {
                page.say("unseen", unseen, theme::caution());
            }
            if let Some(broken) = &s.soak.broken {
                page.say("broke", broken, theme::caution());
            }
        }
        _ => {}
    }
}

fn trouble(page: &mut Page, s: &StepState) {
    if let Some((attempt, why)) = s.doubt.as_ref().filter(|(attempt, _)| *attempt < s.attempt) {
        let text = format!("attempt {attempt} may or may not have been done: {why}");
        page.say("doubt", &text, theme::alarm());
    }
    if let Some(why) = &s.why {
        let bad = matches!(s.status, Status::Failed | Status::InDoubt);
        let style = if bad { theme::alarm() } else { theme::caution() };
        page.say("because", why, style);
    }
    if let Some((verdict, why)) = &s.probed {
        let verdict = match verdict {
            Probed::Done => "done",
            Probed::Partly => "partly done",
            Probed::NotDone => "not done",
            Probed::Running => "still under way",
            Probed::Unknown => "not known",
        };
        page.say("probe", &format!("{verdict}: {why}"), theme::calm());
    } else if s.status == Status::InDoubt {
        page.say("probe", "not answered yet: whether it was done is being looked at", theme::dim());
    }
    if let Some(why) = &s.proposal_error {
        page.say("cannot", why, theme::alarm());
    }
    for line in &s.changed {
        page.say("changed", line, theme::caution());
    }
}

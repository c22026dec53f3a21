//! Nothing is scheduled within a step's estimate: CronJobs that the runbook names, and what the site
//! lists of its own. A gate of steps that act, go forward and say how long they take.

use crate::event::{
    GateJudged, Judged, Observed, Schedule, Span, StepAddr, Time, Verdict, Zone, read_schedule,
};
use crate::run::state::State;
use crate::runbook::{Expr, Scope};
use crate::world::World;
use serde_json::Value;

/// A CronJob that was due so long ago may begin any moment.
const STARTS: Span = Span::secs(60);
/// The gate's id.
pub const SCHEDULED: &str = "scheduled";

/// What was found: what is in the way, what is not known, and what comes next.
#[derive(Default)]
struct Found {
    blocks: Vec<String>,
    unknown: Vec<String>,
    next: Option<(Time, String)>,
}

/// The estimate that it is judged by, where a step has the gate.
fn estimate(state: &State, addr: &StepAddr) -> Option<Span> {
    let step = state.step(addr)?;
    let acts = step.acts();
    let asked = state.runbook.quiet.is_some() || !state.header.scheduled.is_empty();
    step.estimate.filter(|_| acts && asked && !state.going_back())
}

/// What must be read for it.
pub(super) fn reads<'a>(state: &'a State, addr: &StepAddr) -> Option<&'a Expr> {
    state.runbook.quiet.as_ref().filter(|_| estimate(state, addr).is_some())
}

/// The gate, where a step has it.
pub(super) fn gate(state: &State, addr: &StepAddr, world: &World, now: Time) -> Option<GateJudged> {
    let estimate = estimate(state, addr)?;
    let mut found = Found::default();
    for own in &state.header.scheduled {
        match own.read() {
            Ok((line, zone)) => match own.goes_on(&line, zone, now) {
                Some(began) => {
                    let text = format!("{} began at {began} and takes {}", own.name, own.takes);
                    found.blocks.push(text);
                }
                None => found.due(&own.name, &line, zone, (now, estimate), Span(0)),
            },
            Err(why) => found.unknown.push(format!("{}: {why}", own.name)),
        }
    }
    if let Some(quiet) = &state.runbook.quiet {
        let scope = state.scope(Some(addr), world, &[], now);
        cronjobs(quiet, &scope, estimate, &mut found);
    }
    let Found { blocks, unknown, next } = found;
    let (verdict, why) = match (blocks.as_slice(), unknown.as_slice()) {
        ([], []) => (Verdict::Pass, String::new()),
        ([], unknown) => (Verdict::Inconclusive, unknown.join("; ")),
        (blocks, _) => (Verdict::Fail, format!("{}; it takes {estimate}", blocks.join("; "))),
    };
    let value = |(at, name): (Time, String)| Observed {
        name: "next".into(),
        value: format!("{name} at {at}"),
        at: None,
    };
    Some(GateJudged {
        gate: SCHEDULED.into(),
        says: "nothing is scheduled for while it may run".into(),
        judged: Judged { verdict, why, values: next.map(value).into_iter().collect(), at: now },
    })
}

/// CronJobs, read as freshly as any gate's rows.
fn cronjobs(quiet: &Expr, scope: &Scope<'_>, estimate: Span, found: &mut Found) {
    if let Some(stale) = quiet.stale(scope) {
        return found.unknown.push(stale);
    }
    let rows = match quiet.eval(scope) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => return found.unknown.push(format!("`{}` gives no CronJobs", quiet.text)),
        Err(e) => return found.unknown.push(e.to_string()),
    };
    for row in &rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        let name = format!("CronJob {}/{}", text("namespace"), text("name"));
        if row["active"].as_i64().unwrap_or_default() > 0 {
            found.blocks.push(format!("{name} runs now"));
        }
        if row["suspended"] == true {
            continue;
        }
        match read_schedule(text("schedule"), text("time_zone")) {
            // Its Job may not be there for some seconds.
            Ok((line, zone)) => found.due(&name, &line, zone, (scope.now, estimate), STARTS),
            Err(why) => found.unknown.push(format!("{name}: {why}")),
        }
    }
}

impl Found {
    fn due(
        &mut self,
        name: &str,
        line: &Schedule,
        zone: Zone,
        (now, estimate): (Time, Span),
        starts: Span,
    ) {
        let Some(at) = line.after(now - starts, zone) else { return };
        if at <= now + estimate {
            self.blocks.push(format!("{name} is due at {at}, in {}", at.since(now).brief()));
        }
        if self.next.as_ref().is_none_or(|(next, _)| at < *next) {
            self.next = Some((at, name.to_owned()));
        }
    }
}

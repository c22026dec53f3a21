//! What is promised, looked up afterwards in a run's journal and in the world's own record.

use holdpoint::cli::lab::play::Played;
use holdpoint::event::{Entry, Event, GateJudged, Span, StepAddr, Time, Verdict};
use holdpoint::journal::{ZERO_HASH, line, read_bytes};
use holdpoint::lab::kube::{Key, kind};
use holdpoint::lab::site::{NEW_CLASS, SECOND_COPY, VOTERS};
use holdpoint::lab::{World, vault};
use holdpoint::report::Struck;
use holdpoint::run::State;
use holdpoint::session::fold;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The first promise that was not kept, in words, by a run that began in that world.
pub fn broken(played: &Played, begun: &World) -> Option<String> {
    let (entries, lab) = (&played.entries, &played.lab);
    released(entries)
        .or_else(|| only_gates_that_pass(entries))
        .or_else(|| without_a_command(entries))
        .or_else(|| lab.with(|world| deleted(entries, world, begun)))
        .or_else(|| lab.with(|world| moved(entries, world)))
        .or_else(|| read_otherwise(played))
        .or_else(|| passed_blindly(played))
}

/// No effect but of the very digest that was released last and is not void since; one effect
/// at a time.
fn released(entries: &[Entry]) -> Option<String> {
    let mut standing: BTreeMap<&StepAddr, &str> = BTreeMap::new();
    let mut running = None;
    for (entry, seq) in entries.iter().zip(entries[0].seq..) {
        if entry.seq != seq {
            return Some(format!("{} follows {}", entry.seq, seq.saturating_sub(1)));
        }
        match &entry.event {
            Event::Released { step, digest } => drop(standing.insert(step, digest)),
            Event::Changed { step, .. } | Event::Retried { step, .. } => {
                standing.remove(step);
            }
            Event::EffectStarted { step, effect, digest } => {
                // A release is for one effect.
                if standing.remove(step) != Some(digest) {
                    return Some(format!("{step} ran at {} without a release of it", entry.seq));
                }
                if let Some(other) = running.replace(*effect) {
                    return Some(format!("{step} ran at {} beside {other:?}", entry.seq));
                }
            }
            Event::EffectEnded { effect, .. } if running.take() != Some(*effect) => {
                return Some(format!("{effect:?} ended at {} and did not run", entry.seq));
            }
            _ => {}
        }
    }
    None
}

/// A release, or a command handed over, only over gates that were judged in this review and pass, or were overridden in
/// it, with a reason and as they stood then.
fn only_gates_that_pass(entries: &[Entry]) -> Option<String> {
    let mut judged: BTreeMap<&StepAddr, &[GateJudged]> = BTreeMap::new();
    let mut overridden: BTreeMap<(&StepAddr, &str), Verdict> = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::GatesJudged { step, gates } => drop(judged.insert(step, gates)),
            Event::Overridden { step, gate, reason } if !reason.trim().is_empty() => {
                let found = judged.get(step).and_then(|g| g.iter().find(|g| g.gate == *gate));
                overridden.extend(found.map(|g| ((step, gate.as_str()), g.judged.verdict)));
            }
            Event::ReviewOpened { step } => {
                judged.remove(step);
                overridden.retain(|(s, _), _| *s != step);
            }
            Event::ReviewClosed { step }
            | Event::Unclaimed { step }
            | Event::Changed { step, .. }
            | Event::Retried { step, .. } => overridden.retain(|(s, _), _| *s != step),
            Event::Released { step, .. }
            | Event::Shown { step, .. }
            | Event::EffectStarted { step, .. } => {
                let Some(gates) = judged.get(step) else {
                    return Some(format!("{step} went on at {} and no gate was judged", entry.seq));
                };
                let lacks = |g: &&GateJudged| {
                    g.judged.verdict != Verdict::Pass
                        && overridden.get(&(step, g.gate.as_str())) != Some(&g.judged.verdict)
                };
                if let Some(gate) = gates.iter().find(lacks) {
                    return Some(format!("{step} went on at {} over {}", entry.seq, gate.gate));
                }
            }
            _ => {}
        }
    }
    None
}

/// Whatever ran could have been run by hand: its command was shown, and names each UID that it
/// is held to.
fn without_a_command(entries: &[Entry]) -> Option<String> {
    let mut proposals = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::Proposed { proposal, digest, .. } => drop(proposals.insert(digest, proposal)),
            Event::EffectStarted { step, digest, .. } => {
                let Some(proposal) = proposals.get(digest) else {
                    return Some(format!("{step} ran at {} and was never shown", entry.seq));
                };
                let commands = proposal.commands.join("\n");
                let held = proposal.verb.starts_with("kube.") && proposal.verb != "kube.apply";
                let uids = proposal.targets.iter().filter_map(|t| t.uid.as_ref());
                let lacks = uids.filter(|_| held).find(|uid| !commands.contains(uid.as_str()));
                if commands.is_empty() || lacks.is_some() {
                    return Some(format!("{step}: its command lacks {lacks:?}: {commands}"));
                }
            }
            _ => {}
        }
    }
    None
}

/// Whoever reads the journal comes to the state that was on the screen.
fn read_otherwise(played: &Played) -> Option<String> {
    let live = &played.state;
    let written = match written_and_read(&played.entries) {
        Ok(entries) if entries == played.entries => entries,
        Ok(_) => return Some("an entry is read otherwise than it was written".into()),
        Err(why) => return Some(format!("the journal cannot be read: {why}")),
    };
    let shown = written.iter().take_while(|e| e.seq <= live.seq).cloned();
    let read = match fold(&shown.collect::<Vec<_>>()) {
        Ok(read) => read,
        Err(why) => return Some(format!("the journal cannot be read: {why}")),
    };
    let parts = |s: &State| {
        let rest = (&s.choice, &s.line_held, &s.running, &s.refused, &s.aborted, s.ended);
        [
            format!("{:?}", s.steps),
            format!("{:?} {:?}", s.phases, s.guards),
            format!("{:?} {rest:?}", s.evidence),
        ]
    };
    let differs = parts(&read).into_iter().zip(parts(live)).find(|(a, b)| a != b);
    let world = read.world != live.world;
    differs
        .map(|(a, b)| format!("read: {a}\nlive: {b}"))
        .or_else(|| world.then(|| "the world read is not the one that was shown".into()))
}

/// Entries as they come back from a journal: a rehearsal that nobody keeps writes none.
fn written_and_read(entries: &[Entry]) -> Result<Vec<Entry>, String> {
    let (mut text, mut head) = (String::new(), ZERO_HASH.to_owned());
    for entry in entries {
        let (line, hash) = line(entry, &head).map_err(|e| e.to_string())?;
        text.push_str(&line);
        head = hash;
    }
    Ok(read_bytes(text.as_bytes()).map_err(|e| e.to_string())?.entries)
}

/// The longest that a gate may take from its first look to its verdict.
const LOOK: Span = Span::secs(15);

/// Nothing passes on what cannot be seen: while the API server is away no gate that names its
/// objects, while quorum is lost no gate that wants an answer of the leader.
fn passed_blindly(played: &Played) -> Option<String> {
    const BLIND: [(&str, &[&str]); 2] = [
        ("api-outage", &["claims-go", "claims-gone", "kept", "template"]),
        ("quorum-lost", &["guard:quorum", "leader"]),
    ];
    let blind = |at: Time, gate: &str| {
        let of = |s: &&Struck| {
            let gates = BLIND.iter().find(|(name, _)| *name == s.name).map_or(&[][..], |b| b.1);
            let lasts = s.over.is_none_or(|over| at < over);
            lasts && at > s.at + LOOK && gates.contains(&gate)
        };
        played.struck.iter().find(of)
    };
    played.entries.iter().find_map(|entry| {
        let Event::GatesJudged { step, gates } = &entry.event else { return None };
        let passed = gates.iter().filter(|g| g.judged.verdict == Verdict::Pass);
        let (gate, fault) =
            passed.filter_map(|g| Some((&g.gate, blind(entry.at, &g.gate)?))).next()?;
        Some(format!("{gate} of {step} passed at {} during {}", entry.at, fault.name))
    })
}

fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// Of Vault's sets, pods and claims only what was released was deleted, by its UID, and not
/// before the journal said so.
fn deleted(entries: &[Entry], world: &World, begun: &World) -> Option<String> {
    let mut proposals = BTreeMap::new();
    let mut allowed = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::Proposed { proposal, digest, .. } => {
                proposals.insert(digest, proposal);
            }
            Event::EffectStarted { digest, .. } => {
                let targets = proposals.get(digest).into_iter().flat_map(|p| &p.targets);
                for uid in targets.filter_map(|t| t.uid.as_deref()) {
                    allowed.entry(uid).or_insert(entry.at);
                }
            }
            _ => {}
        }
    }
    let Some(changes) = world.store.since(begun.store.version()) else {
        return Some("the world's record does not reach back to the beginning".into());
    };
    for change in changes {
        let kind = change.key.kind.id;
        let ours = ["persistentvolumeclaims", "pods", "statefulsets.apps"].contains(&kind);
        let name = change.key.name.as_str();
        let of_voter = VOTERS.iter().any(|v| name.ends_with(v)) || name == "vault";
        let ours = ours && of_voter && change.key.namespace == "vault";
        let Some(old) = change.old.as_ref().filter(|_| ours) else { continue };
        let old = old.value(change.key.kind);
        let marked = |o: &Value| !text(o, "/metadata/deletionTimestamp").is_empty();
        let goes = match &change.new {
            None => true,
            Some(new) => marked(&new.value(change.key.kind)) && !marked(&old),
        };
        if !goes {
            continue;
        }
        let Some(since) = allowed.get(text(&old, "/metadata/uid")) else {
            return Some(format!("{kind} {name} was deleted, which nobody released"));
        };
        // To the second; what goes at once has no such time.
        let new = change.new.as_ref().map(|o| o.value(change.key.kind));
        let at = new.and_then(|o| text(&o, "/metadata/deletionTimestamp").parse::<Time>().ok());
        if at.is_some_and(|at| at + Span::secs(1) < *since) {
            return Some(format!("{kind} {name} was deleted before the journal had it"));
        }
    }
    None
}

/// Claims of a voter: class, phase, and whether they go.
fn claims(world: &World, voter: &str) -> Vec<(String, String, bool)> {
    let Some(kind) = kind("persistentvolumeclaims") else { return Vec::new() };
    let of = |(key, claim): (&Key, &Arc<Value>)| {
        key.name.ends_with(&format!("-{voter}")).then(|| {
            let goes = !text(claim, "/metadata/deletionTimestamp").is_empty();
            let class = text(claim, "/spec/storageClassName").to_owned();
            (class, text(claim, "/status/phase").to_owned(), goes)
        })
    };
    world.store.list(kind, Some("vault")).filter_map(of).collect()
}

fn lies_well(world: &World, voter: &str) -> bool {
    let claims = claims(world, voter);
    claims.len() == 2 && claims.iter().all(|(c, p, g)| c == NEW_CLASS && p == "Bound" && !g)
}

/// What is said to have moved has.
fn moved(entries: &[Entry], world: &World) -> Option<String> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Verified { step, .. } if step.place() == "roll/moved" => {
            let voter = step.item.clone().unwrap_or_default();
            let why = format!("{step} is done; {:?}", claims(world, &voter));
            (!lies_well(world, &voter)).then_some(why)
        }
        _ => None,
    })
}

/// What is not so, in a run that says that it is done.
pub fn untrue(played: &Played, begun: &World) -> Option<String> {
    let astray = played.lab.with(|world| {
        let old = VOTERS.iter().find(|voter| !lies_well(world, voter));
        let old = old.map(|voter| format!("{voter} lies on {:?}", claims(world, voter)));
        let quorum = vault::has_quorum(world);
        old.or_else(|| (!quorum).then(|| format!("no quorum: {:?}", vault::voters(world))))
    });
    let lost = played.losses().into_iter().next();
    astray
        .or(lost)
        .or_else(|| unproven(played))
        .or_else(|| unanchored(&played.entries))
        .or_else(|| elected(played, begun))
}

/// Vault elected more often than somebody asked it to: a leader was taken away.
fn elected(played: &Played, begun: &World) -> Option<String> {
    const ELECT: [&str; 6] = [
        "hung-leader",
        "stopped-leader",
        "quorum-lost",
        "hung-audit",
        "disks-lost",
        "every-disk-lost",
    ];
    if played.struck.iter().any(|s| ELECT.contains(&s.name)) {
        return None;
    }
    let term = |world: &World| world.vault.led.as_ref().map_or(0, |led| led.term);
    let held = played.lab.with(|world| term(world)).saturating_sub(term(begun));
    let started = |place: &'static str| {
        let of = move |e: &&Entry| match &e.event {
            Event::EffectStarted { step, .. } => step.place() == place,
            _ => false,
        };
        played.entries.iter().filter(of)
    };
    // Given to a voter whose pod is just ending it does not stay there.
    let ending = |at: Time| {
        let pods = started("roll/pod").chain(started("roll/pod-again"));
        pods.filter(|e| e.at <= at && at.since(e.at) < Span::secs(5)).count()
    };
    let moved = played.struck.iter().filter(|s| s.name == "leader-moves");
    let asked = started("roll/step-down").count() + moved.map(|s| 1 + ending(s.at)).sum::<usize>();
    let why = || format!("{held} elections, and {asked} of them were asked for");
    (held > asked as u64).then(why)
}

/// The claims of a voter went without an anchor of its own turn, or the set without any.
fn unanchored(entries: &[Entry]) -> Option<String> {
    let mut anchored = None;
    entries.iter().find_map(|entry| match &entry.event {
        Event::Captured { name, step, .. } if name == "anchor" => {
            anchored = Some(step.item.clone());
            None
        }
        Event::EffectStarted { step, .. } => {
            let fine = match step.place().as_str() {
                "roll/claims" => anchored.as_ref() == Some(&step.item),
                "statefulset/orphan" => anchored.is_some(),
                _ => true,
            };
            (!fine).then(|| format!("{step} ran at {} without an anchor of its turn", entry.at))
        }
        _ => None,
    })
}

/// Why the last anchor is none, by its bytes.
fn unproven(played: &Played) -> Option<String> {
    let Some(anchor) = played.state.evidence.get("anchor") else {
        return Some("there is no anchor".into());
    };
    let path = Path::new(text(anchor, "/path"));
    let copy = Path::new(SECOND_COPY).join(path.file_name().unwrap_or_default());
    let sum = |path: &Path| {
        let bytes = played.lab.with(|world| world.files.get(path).map(<[u8]>::to_vec));
        bytes.map(|b| Sha256::digest(&b).iter().map(|b| format!("{b:02x}")).collect::<String>())
    };
    let (one, two) = (sum(path), sum(&copy));
    let told = text(anchor, "/sha256");
    let same = one.as_deref() == Some(told) && two.as_deref() == Some(told);
    (!same).then(|| format!("the anchor is not what was checked: {anchor} {one:?} {two:?}"))
}

//! What voters' answers add up to: pure, the table of the observers' page.

use crate::event::Time;
use crate::world::{Answer, Raft, Voter, VoterVerdict};
use std::time::Duration;

/// What one voter answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// Raft node id.
    pub name: String,
    /// Where it was asked.
    pub address: String,
    /// How `sys/health` went, and its code.
    pub health: (Answer, i64),
    /// Milliseconds of `sys/health`, coarse.
    pub latency_ms: i64,
    /// How `sys/leader` went.
    pub leader: Answer,
    /// What it said if that was an error.
    pub error: String,
    /// It says that it leads.
    pub is_self: bool,
    /// Its own indexes.
    pub committed: i64,
    /// Its own applied index, read after the leader's commit index.
    pub applied: i64,
    /// Sealed, initialised.
    pub seal: Option<(bool, bool)>,
    /// Its cluster's id.
    pub cluster_id: String,
    /// Since when it leads, as it says; every standby says the year 1.
    pub active_since: String,
}

/// What the active node said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Active {
    /// Raft configuration: node and whether it votes.
    pub peers: Option<Vec<(String, bool)>>,
    /// The node that leads, by that configuration.
    pub leads: Option<String>,
    /// Autopilot's verdict.
    pub autopilot: Option<bool>,
    /// The audited read came back.
    pub audited: bool,
    /// When the token that it was asked with ends.
    pub token_ends: Option<Time>,
    /// Nodes that it heard of lately, by `sys/ha-status`.
    pub heard: Vec<String>,
    /// What went wrong first.
    pub error: String,
}

/// Milliseconds in steps, so that a figure does not flicker.
pub(crate) fn coarse(latency: Duration) -> i64 {
    let ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
    match ms {
        0..=4 => ms.max(1),
        5..=49 => ms / 5 * 5,
        50..=499 => ms / 50 * 50,
        _ => ms / 500 * 500,
    }
}

/// What a voter's answers add up to; `other_leads`: another voter says that it leads, and
/// answers `sys/health`.
#[must_use]
pub fn verdict(probe: &Probe, other_leads: bool) -> VoterVerdict {
    match (probe.health.0, probe.leader) {
        (Answer::Answers, _) => match (probe.health.1, probe.seal) {
            (503, _) | (_, Some((true, true))) => VoterVerdict::Sealed,
            (200 | 429 | 472 | 473, _) if !probe.error.is_empty() => VoterVerdict::Failing,
            (200 | 429 | 472 | 473, Some((false, true))) => VoterVerdict::Healthy,
            (200 | 429, None) => VoterVerdict::Healthy,
            _ => VoterVerdict::Joining,
        },
        // Half of the answers over a path that went in between decides nothing.
        (Answer::PathLost | Answer::Unasked, _) | (_, Answer::PathLost) => VoterVerdict::PathLost,
        (Answer::Refused, _) | (_, Answer::Refused) => VoterVerdict::Down,
        (Answer::Silent, Answer::Answers) => VoterVerdict::Hung,
        (Answer::Silent, _) if other_leads => VoterVerdict::Stopped,
        (Answer::Silent, _) => VoterVerdict::Silent,
    }
}

/// The one that leads: of two that say so, one is a deadlocked leader of an older term, and
/// that one is silent. `None` where two say so and answer.
#[must_use]
pub fn leading(probes: &[Probe]) -> Option<&Probe> {
    let mut says = probes.iter().filter(|p| p.is_self && p.leader == Answer::Answers);
    let mut alive = says.clone().filter(|p| p.health.0 == Answer::Answers);
    match (alive.next(), alive.next()) {
        (Some(one), None) => Some(one),
        (Some(_), Some(_)) => None,
        (None, _) => match (says.next(), says.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        },
    }
}

/// The cluster from its voters' answers.
#[must_use]
pub fn assemble(probes: &[Probe], active: &Active, elections: i64) -> Raft {
    let leader = leading(probes);
    let committed = leader.map_or(0, |l| l.committed);
    let voters: Vec<Voter> = probes.iter().map(|p| voter(p, active, leader, committed)).collect();
    let configured = active.peers.as_ref().map(|p| p.iter().filter(|(_, votes)| *votes).count());
    let configured = i64::try_from(configured.unwrap_or(probes.len())).unwrap_or(0);
    let led = leader.and_then(|l| voters.iter().find(|v| v.name == l.name));
    let other = leader.zip(active.leads.as_ref()).filter(|(l, id)| l.name != **id);
    // Whoever goes by the wrong name would be taken for another: then nobody leads.
    let (leader, led) = if other.is_some() { (None, None) } else { (leader, led) };
    let votes = |v: &&Voter| v.healthy && (active.peers.is_none() || v.is_voter);
    Raft {
        leader: leader.map(|l| l.name.clone()).unwrap_or_default(),
        leader_answers: led.is_some_and(|l| l.healthy),
        hung_leader: voters
            .iter()
            .find(|v| v.verdict == VoterVerdict::Hung && v.is_self)
            .map(|v| v.name.clone())
            .unwrap_or_default(),
        unsealed: i64::try_from(voters.iter().filter(votes).count()).unwrap_or(0),
        quorum: configured / 2 + 1,
        configured,
        committed,
        rate: 0,
        configuration_read: active.peers.is_some(),
        autopilot_read: active.autopilot.is_some(),
        autopilot_healthy: active.autopilot.unwrap_or(false),
        audited_read: active.audited,
        active_error: other.map_or_else(|| active.error.clone(), |(l, id)| misnamed(&l.name, id)),
        cluster_id: probes
            .iter()
            .map(|p| p.cluster_id.clone())
            .find(|c| !c.is_empty())
            .unwrap_or_default(),
        elections,
        token_ends: active.token_ends,
        voters,
    }
}

fn misnamed(name: &str, id: &str) -> String {
    format!(
        "raft's configuration says that {id} leads, and at the address of {name} somebody says \
         so: names and addresses in the site file may be mixed up"
    )
}

fn voter(p: &Probe, active: &Active, leader: Option<&Probe>, committed: i64) -> Voter {
    let other_leads = leader.is_some_and(|l| l.name != p.name && l.health.0 == Answer::Answers);
    let verdict = verdict(p, other_leads);
    let healthy = verdict == VoterVerdict::Healthy;
    let peer = active.peers.iter().flatten().find(|(name, _)| *name == p.name);
    Voter {
        name: p.name.clone(),
        address: p.address.clone(),
        verdict,
        healthy,
        health: p.health.0,
        leader_answer: p.leader,
        code: p.health.1,
        error: p.error.clone(),
        latency_ms: p.latency_ms,
        is_self: p.is_self,
        sealed: p.seal.is_none_or(|(sealed, _)| sealed),
        initialized: p.seal.is_some_and(|(_, initialized)| initialized),
        applied: p.applied,
        committed: p.committed,
        behind: (committed - p.applied).max(0),
        // Without a leader there is nothing to have caught up with.
        caught_up: healthy && leader.is_some() && committed > 0 && p.applied >= committed,
        is_voter: peer.is_some_and(|(_, votes)| *votes),
        is_peer: peer.is_some(),
        heard: active.heard.contains(&p.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Answers, PathLost, Refused, Silent};

    fn voter(
        name: &str,
        health: (Answer, i64),
        leader: Answer,
        is_self: bool,
        index: i64,
    ) -> Probe {
        Probe {
            name: name.into(),
            health,
            leader,
            is_self,
            committed: index,
            applied: index,
            seal: (leader == Answers).then_some((false, true)),
            ..Probe::default()
        }
    }

    /// The observers' table: health, leader, another leads, verdict.
    #[test]
    fn answers_add_up_as_the_table_says() {
        use VoterVerdict as V;
        for (health, code, leader, other, wanted) in [
            (Answers, 200, Answers, false, V::Healthy),
            (Answers, 429, Answers, true, V::Healthy),
            (Silent, 0, Answers, false, V::Hung),
            (Silent, 0, Answers, true, V::Hung),
            (Silent, 0, Silent, true, V::Stopped),
            (Silent, 0, Silent, false, V::Silent),
            (Refused, 0, Refused, true, V::Down),
            (PathLost, 0, PathLost, true, V::PathLost),
            (PathLost, 0, PathLost, false, V::PathLost),
            // Half answers: health decides where it came; a path that went decides nothing.
            (Answers, 429, Refused, true, V::Healthy),
            (Answers, 503, Silent, true, V::Sealed),
            (Silent, 0, PathLost, true, V::PathLost),
            (Refused, 0, PathLost, false, V::PathLost),
            (Refused, 0, Answers, false, V::Down),
            (Answer::Unasked, 0, Answer::Unasked, true, V::PathLost),
        ] {
            let probe = voter("a", (health, code), leader, false, 7);
            assert_eq!(verdict(&probe, other), wanted, "{health:?} {leader:?} {other}");
        }
        let mut failing = voter("a", (Answers, 429), Answers, false, 0);
        failing.error = "500: no decryption key available for term 2".into();
        assert_eq!(verdict(&failing, true), V::Failing);
        let mut sealed = voter("a", (Answers, 503), Answers, false, 0);
        sealed.seal = Some((true, true));
        assert_eq!(verdict(&sealed, true), V::Sealed);
        let mut joining = voter("a", (Answers, 501), Answers, false, 0);
        joining.seal = Some((true, false));
        assert_eq!(verdict(&joining, true), V::Joining);
    }

    #[test]
    fn a_hung_leader_is_named_and_does_not_count() {
        let probes = [
            voter("a", (Answers, 429), Answers, false, 90),
            voter("b", (Answers, 429), Answers, false, 80),
            voter("c", (Silent, 0), Answers, true, 90),
        ];
        let raft = assemble(&probes, &Active::default(), 0);
        assert_eq!((raft.leader.as_str(), raft.hung_leader.as_str()), ("c", "c"));
        assert!(!raft.leader_answers);
        assert_eq!((raft.unsealed, raft.quorum), (2, 2));
        // One that lags has not caught up; the hung one is not healthy, whatever it applied.
        let caught: Vec<_> = raft.voters.iter().map(|v| v.caught_up).collect();
        assert_eq!(caught, [true, false, false]);
    }

    /// Two addresses are mixed up in the site file: nobody is taken for the leader.
    #[test]
    fn who_leads_by_another_name_does_not_lead() {
        let probes = [
            voter("a", (Answers, 200), Answers, true, 90),
            voter("b", (Answers, 429), Answers, false, 90),
        ];
        let leads = |id: &str| Active { leads: Some(id.into()), ..Active::default() };
        let raft = assemble(&probes, &leads("b"), 0);
        assert_eq!((raft.leader.as_str(), raft.leader_answers), ("", false));
        assert!(raft.active_error.contains("says that b leads, and at the address of a"));
        let raft = assemble(&probes, &leads("a"), 0);
        assert_eq!((raft.leader.as_str(), raft.leader_answers), ("a", true));
        assert_eq!(raft.active_error, "");
    }

    /// One that has not been promoted is well, and is none of those that agree.
    #[test]
    fn who_has_no_vote_does_not_count() {
        let probes = [
            voter("a", (Answers, 200), Answers, true, 90),
            voter("b", (Answers, 429), Answers, false, 90),
        ];
        let peers = Some(vec![("a".into(), true), ("b".into(), false), ("other".into(), true)]);
        let raft = assemble(&probes, &Active { peers, ..Active::default() }, 0);
        assert_eq!((raft.unsealed, raft.configured, raft.quorum), (1, 2, 2));
        assert_eq!(assemble(&probes, &Active::default(), 0).unsealed, 2);
    }

    #[test]
    fn a_silent_voter_is_called_stopped_only_beside_a_leader_that_answers() {
        let silent = voter("c", (Silent, 0), Silent, false, 0);
        for (other, wanted) in [
            (voter("a", (Answers, 200), Answers, true, 9), VoterVerdict::Stopped),
            // A leader that hangs itself proves no election.
            (voter("a", (Silent, 0), Answers, true, 9), VoterVerdict::Silent),
            (voter("a", (Answers, 429), Answers, false, 9), VoterVerdict::Silent),
            (voter("a", (PathLost, 0), PathLost, false, 9), VoterVerdict::Silent),
        ] {
            let raft = assemble(&[other, silent.clone()], &Active::default(), 0);
            assert_eq!(raft.voters[1].verdict, wanted);
        }
    }

    #[test]
    fn quorum_is_of_the_configuration_and_two_leaders_are_none() {
        let two = [
            voter("a", (Answers, 200), Answers, true, 9),
            voter("b", (Answers, 200), Answers, true, 9),
        ];
        let raft = assemble(&two, &Active::default(), 0);
        assert_eq!((raft.leader.as_str(), raft.leader_answers), ("", false));
        assert!(raft.voters.iter().all(|v| !v.caught_up));
        assert_eq!((raft.configured, raft.quorum), (2, 2));
        let peers = ["a", "b", "x", "y", "z"].map(|n| (n.to_owned(), n != "z"));
        let active = Active { peers: Some(peers.to_vec()), ..Active::default() };
        let raft = assemble(&two, &active, 0);
        assert_eq!((raft.configured, raft.quorum), (4, 3));
        assert!(raft.voters.iter().all(|v| v.is_voter && v.is_peer));
    }

    #[test]
    fn an_old_leader_that_is_silent_does_not_hide_the_new_one() {
        let probes = [
            voter("a", (Answers, 200), Answers, true, 95),
            voter("b", (Answers, 429), Answers, false, 95),
            voter("c", (Silent, 0), Answers, true, 90),
        ];
        let raft = assemble(&probes, &Active::default(), 1);
        assert_eq!(raft.leader, "a");
        assert!(raft.leader_answers);
        assert_eq!(raft.hung_leader, "c");
        let none = [voter("a", (Answers, 429), Answers, false, 95)];
        let raft = assemble(&none, &Active::default(), 1);
        assert_eq!(raft.leader, "");
        assert!(!raft.voters[0].caught_up);
    }
}

//! What watches a roll from outside while it goes on: voters are sampled, values counted, and
//! the journal tells whose turn it was.

use crate::site::{Site, http};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the voters are sampled.
const EACH: Duration = Duration::from_millis(250);

fn now_ms() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "compared with the servers' own clock")]
    let now = SystemTime::now();
    u64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// What was sampled.
struct Sampled {
    bad: Vec<(u64, String)>,
    samples: u64,
    took: Duration,
}

/// What watches the cluster from outside while it is moved.
pub struct Watch {
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Sampled>,
    counter: JoinHandle<Vec<u64>>,
}

impl Watch {
    pub fn start(site: &Site) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (voters, token) = (site.voters(), site.token());
        let flag = Arc::clone(&stop);
        let sampled = voters.clone();
        let sampler = std::thread::spawn(move || {
            let (mut bad, mut samples, began) = (Vec::new(), 0, Instant::now());
            while !flag.load(Ordering::Relaxed) {
                let next = Instant::now() + EACH;
                samples += 1;
                if let Err(why) = sample(&sampled) {
                    bad.push((now_ms(), why));
                }
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            Sampled { bad, samples, took: began.elapsed() }
        });
        let flag = Arc::clone(&stop);
        let counter = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !flag.load(Ordering::Relaxed) {
                n += 1;
                let (_, address) = &voters[usize::try_from(n % 3).unwrap()];
                let body = format!("{{\"data\":{{\"n\":{n}}}}}");
                let (code, _) =
                    http("POST", &format!("{address}/v1/kv/data/count/{n}"), Some(&token), &body);
                if code == 200 {
                    acknowledged.push(n);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            acknowledged
        });
        Self { stop, sampler, counter }
    }

    /// Every acknowledged value is there, and what was bad was near an election.
    pub fn check(self, site: &Site) {
        self.stop.store(true, Ordering::Relaxed);
        let Sampled { bad, samples, took } = self.sampler.join().unwrap();
        // What is not looked at is not seen: a request that was held is no sample.
        assert!(
            u128::from(samples) * 4 * EACH.as_millis() > took.as_millis(),
            "{samples} in {took:?}"
        );
        let acknowledged = self.counter.join().unwrap();
        let (_, list) = http("GET", &format!("{}/elections", site.fact("control")), None, "");
        let elections: Vec<u64> = serde_json::from_str::<Value>(&list)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["at_ms"].as_u64().unwrap())
            .collect();
        // Else every bad sample would be near one.
        assert!(elections.len() <= 12, "{elections:?}");
        for (at, why) in &bad {
            assert!(
                elections.iter().any(|e| e.abs_diff(*at) <= 7_500),
                "{why} at {at}, far from {elections:?}"
            );
        }
        assert!(acknowledged.len() > 100, "{} values were acknowledged", acknowledged.len());
        let (token, voters) = (site.token(), site.voters());
        for n in &acknowledged {
            let (code, body) =
                http("GET", &format!("{}/v1/kv/data/count/{n}", voters[0].1), Some(&token), "");
            assert!(
                code == 200 && body.contains(&format!("\"n\":{n}")),
                "value {n} is lost: {code} {body}"
            );
        }
        println!(
            "{} values acknowledged and read back; {samples} samples, {} of them bad during elections; {} elections",
            acknowledged.len(),
            bad.len(),
            elections.len()
        );
    }
}

/// At least two unsealed voters answer and agree on the leader.
fn sample(voters: &[(String, String)]) -> Result<(), String> {
    let mut leaders = Vec::new();
    for (_, address) in voters {
        let (code, _) = http("GET", &format!("{address}/v1/sys/health"), None, "");
        if code == 200 || code == 429 {
            let (_, body) = http("GET", &format!("{address}/v1/sys/leader"), None, "");
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            leaders.push(body["leader_address"].as_str().unwrap_or_default().to_owned());
        }
    }
    // One that comes back with an empty disk names nobody at first, and while it reads the log
    // again those who led when it was written.
    let agreed = |l: &String| !l.is_empty() && leaders.iter().filter(|o| *o == l).count() >= 2;
    if leaders.iter().any(agreed) { Ok(()) } else { Err(format!("answers: {leaders:?}")) }
}

/// The order of the voters' turns, and who led when each turn began.
pub fn turns(journal: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(journal).unwrap();
    let (mut leader, mut turns) = (String::new(), Vec::new());
    // The last line may be half written.
    for line in text.lines() {
        let event = serde_json::from_str::<Value>(line).unwrap_or_default()["event"].take();
        if let Some(l) = event["change"]["update"]["rows"]["leader"].as_str() {
            leader = l.to_owned();
        }
        if event["type"] == "item-chosen" {
            turns.push((event["item"].as_str().unwrap().to_owned(), leader.clone()));
        }
    }
    turns
}

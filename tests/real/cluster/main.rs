//! What the cockpit costs and how fast it is on a cluster of many pods, beside kubectl.
//!
//! Run by `tests/real/bench`. Everything is on loopback; every process is ended by its id.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on says so by panicking"
)]

mod load;
mod screen;

use load::{Load, cpu_seconds, megabytes};
use screen::Screen;
use std::time::{Duration, Instant};

/// One measured line: what, how much of which unit, the budget.
struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    budget: Option<f64>,
    kubectl: Option<f64>,
}

fn main() {
    let load = Load::up();
    eprintln!("{} pods are there; the servers come to rest", load.pods);
    std::thread::sleep(Duration::from_secs(10));
    // Before kubectl, which leaves the API server with gigabytes to collect.
    let measured = cockpit(&load);
    let (kubectl_s, kubectl_mb) = load.kubectl_get();
    let figures = figures(&measured, kubectl_s, kubectl_mb);
    println!("{} pods in {} namespaces", load.pods, load.namespaces);
    println!("{:<34} {:>10} {:>8} {:>8} {:>10}", "", "measured", "budget", "holds", "kubectl");
    for f in &figures {
        let budget = f.budget.map(|b| format!("{b}")).unwrap_or_default();
        let holds = f.budget.map_or("", |b| if f.value <= b { "yes" } else { "NO" });
        let ratio = f.kubectl.map(|k| format!("{:.0} x", k / f.value)).unwrap_or_default();
        println!(
            "{:<34} {:>7.3} {:<2} {budget:>8} {holds:>8} {ratio:>10}",
            f.what, f.value, f.unit
        );
    }
    println!("kubectl get pods -A: {kubectl_s:.1} s, {kubectl_mb:.0} MB");
}

/// Seconds from the start of the process, CPU seconds, megabytes.
struct Measured {
    frame: f64,
    first: f64,
    all: f64,
    known: f64,
    loaded_cpu: f64,
    loaded_mb: f64,
    peak_mb: f64,
    now_mb: f64,
    idle: f64,
    change: Vec<f64>,
    keys: Vec<f64>,
}

/// Starts that are timed; the figures are medians of them.
const STARTS: usize = 5;

/// One start: the first frame, first and all rows, all identities, in seconds.
fn start(load: &Load) -> (Screen, [f64; 4]) {
    let began = Instant::now();
    let screen = Screen::open(&load.watch_args(), (40, 120));
    let limit = Duration::from_secs(60);
    let frame = screen.until("a first frame", limit, |s| s.contents().contains("4 Pods"));
    let first = screen.until("a first row", limit, |s| s.contents().contains("pod-0"));
    let every = format!("of {}", load.pods + 1);
    let all = screen.until("all rows", limit, |s| s.contents().contains(&every));
    // The title of the pane counts identities until there is none missing.
    let known = screen.until("all identities", limit, |s| {
        s.contents().lines().any(|l| l.contains("4 Pods") && l.contains(" ago"))
    });
    (screen, [frame, first, all, known].map(|at| at.duration_since(began).as_secs_f64()))
}

fn cockpit(load: &Load) -> Measured {
    let mut starts = Vec::new();
    let mut screen = loop {
        let (screen, times) = start(load);
        eprintln!("start: {}", times.map(|t| format!("{t:.3} s")).join(", "));
        starts.push(times);
        if starts.len() == STARTS {
            break screen;
        }
        drop(screen);
        // What the API server does for one that went is not the next one's time.
        std::thread::sleep(Duration::from_secs(3));
    };
    let pid = screen.pid();
    let median = |i: usize| {
        let mut times: Vec<f64> = starts.iter().map(|s| s[i]).collect();
        times.sort_by(f64::total_cmp);
        times[STARTS / 2]
    };
    let (loaded_mb, loaded_cpu) = (megabytes(pid, "VmHWM:"), cpu_seconds(pid));
    // What follows the load (the journal's last lines) is not idleness.
    std::thread::sleep(Duration::from_secs(3));
    let before = cpu_seconds(pid);
    std::thread::sleep(Duration::from_secs(30));
    let idle = cpu_seconds(pid) - before;
    let change = change_to_screen(load, &mut screen);
    let keys = key_to_screen(&mut screen);
    Measured {
        frame: median(0),
        first: median(1),
        all: median(2),
        known: median(3),
        loaded_cpu,
        loaded_mb,
        peak_mb: megabytes(pid, "VmHWM:"),
        now_mb: megabytes(pid, "VmRSS:"),
        idle,
        change,
        keys,
    }
}

fn figures(m: &Measured, kubectl_s: f64, kubectl_mb: f64) -> Vec<Figure> {
    let figure = |what, value, unit, budget, kubectl| Figure { what, value, unit, budget, kubectl };
    let change = |i: usize| m.change[i];
    vec![
        figure("start to first frame", m.frame, "s", None, None),
        figure("start to first rows", m.first, "s", Some(0.2), Some(kubectl_s)),
        figure("start to all rows", m.all, "s", Some(0.6), Some(kubectl_s)),
        figure("start to all identities", m.known, "s", Some(2.0), Some(kubectl_s)),
        figure("CPU until then", m.loaded_cpu, "s", None, None),
        figure("peak memory until then", m.loaded_mb, "MB", Some(64.0), Some(kubectl_mb)),
        figure("peak memory in all", m.peak_mb, "MB", Some(64.0), Some(kubectl_mb)),
        figure("memory at the end", m.now_mb, "MB", None, None),
        figure("CPU in 30 s of idleness", m.idle, "s", Some(0.3), None),
        figure("change to screen, median of 10", change(5), "s", Some(0.3), None),
        figure("change to screen, longest", change(9), "s", Some(0.3), None),
        figure("key to screen, median of 50", m.keys[25], "ms", None, None),
        figure("key to screen, p95 of 50", m.keys[47], "ms", Some(16.0), None),
    ]
}

/// From sending a change of the first pod's restarts to seeing it; sorted seconds.
fn change_to_screen(load: &Load, screen: &mut Screen) -> Vec<f64> {
    let mut times: Vec<f64> = (0..10)
        .map(|i| {
            std::thread::sleep(Duration::from_millis(700));
            let restarts = 711 + i;
            let began = Instant::now();
            load.set_restarts("load-000", "pod-00000", restarts);
            let seen = screen.until("the change", Duration::from_secs(20), |s| {
                let row = |l: &str| l.contains("pod-00000") && l.contains(&restarts.to_string());
                s.contents().lines().any(row)
            });
            seen.duration_since(began).as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// From a key to the cursor's next row; sorted milliseconds.
fn key_to_screen(screen: &mut Screen) -> Vec<f64> {
    let limit = Duration::from_secs(10);
    screen.send("4z");
    screen.until("the cursor", limit, |s| screen::cursor(s).is_some());
    let mut times: Vec<f64> = (0..50)
        .map(|i| {
            std::thread::sleep(Duration::from_millis(40 + i * 7 % 60));
            let before = screen.look(screen::cursor);
            let began = Instant::now();
            // Up and down, so that every key moves it.
            screen.send(if i % 10 < 5 { "j" } else { "k" });
            let seen = screen.until("the cursor to move", limit, |s| {
                let now = screen::cursor(s);
                now.is_some() && now != before
            });
            seen.duration_since(began).as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

//! How far servers' clocks are from this machine's, by the `Date` of their answers.

use super::{Level, Report};
use crate::event::{Span, Time};
use crate::remote::Remote;
use reqwest::Method;
use std::time::Duration;

/// Clocks further apart than this fail: ages, tokens and snapshots' times mislead. Our own
/// figure; a machine with NTP is a hundred times closer.
const LIMIT: Span = Span::secs(30);
/// Further apart than this is worth a word.
const WORTH_A_WORD: Span = Span::secs(3);
/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(3);

pub(super) async fn examine(remote: &Remote, report: &mut Report) {
    if let Ok(client) = &remote.kube {
        let before = remote.now();
        let date = within(api_server(client)).await;
        tell("API server", date, before, remote.now(), report);
    }
    for voter in &remote.voters {
        let Ok(base) = voter.base(remote.kube.as_ref().ok()).await else { continue };
        let before = remote.now();
        let asked = voter.send(&base, Method::GET, "sys/health", None, None);
        let date = within(async { date(asked.await.ok()?.headers()) }).await;
        tell(&voter.name, date, before, remote.now(), report);
    }
}

async fn within(asked: impl Future<Output = Option<Time>>) -> Option<Time> {
    tokio::time::timeout(DEADLINE, asked).await.ok().flatten()
}

async fn api_server(client: &kube::Client) -> Option<Time> {
    let request = http::Request::get("/version").body(kube::client::Body::empty()).ok()?;
    date(client.send(request).await.ok()?.headers())
}

/// The `Date` header, an IMF-fixdate (RFC 9110, 5.6.7), which is a date of RFC 2822 too.
fn date(headers: &http::HeaderMap) -> Option<Time> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    let stamp = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Time::from(stamp))
}

fn tell(who: &str, date: Option<Time>, before: Time, after: Time, report: &mut Report) {
    // A server that does not answer at all has been told of already.
    let Some(date) = date else { return };
    let (level, words) = judge(date, before, after);
    report.say(level, &format!("clock of {who}"), &words);
}

/// `Date` has whole seconds and was written somewhere between `before` and `after`: only
/// what is beyond both counts.
fn judge(date: Time, before: Time, after: Time) -> (Level, String) {
    let ahead = date.since(after);
    let behind = before.since(Time(date.0 + 999));
    let (apart, word) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let level = match apart {
        a if a > LIMIT => Level::Bad,
        a if a > WORTH_A_WORD => Level::Warn,
        _ => Level::Ok,
    };
    let words = if apart < Span::secs(1) {
        "as this machine's, to the second".into()
    } else {
        let apart = apart.brief();
        format!("{apart} {word} this machine's; {} at most, set both by NTP", LIMIT.brief())
    };
    (level, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    #[test]
    fn a_skew_counts_from_what_the_header_and_the_wait_leave_open() {
        let at = |s: i64| Time(1_000_000 + s * 1000);
        for (date, before, after, level, word) in [
            (0, 0, 0, Level::Ok, "to the second"),
            // Anywhere within a slow answer, or a truncated second.
            (5, 0, 9, Level::Ok, "to the second"),
            (-1, 0, 0, Level::Ok, "to the second"),
            (3, 0, 1, Level::Ok, "2s ahead of"),
            (30, 0, 0, Level::Warn, "30s ahead of"),
            (31, 0, 0, Level::Bad, "31s ahead of"),
            (-33, 0, 2, Level::Bad, "32s behind"),
        ] {
            let (got, words) = judge(at(date), at(before), at(after));
            assert!(got == level && words.contains(word), "{date}: {words}");
        }
    }

    /// The rig's clock begins in 1970.
    #[tokio::test]
    async fn dates_of_the_api_server_and_of_each_voter_are_read() {
        let now = "date: Thu, 01 Jan 1970 00:00:02 GMT\r\n";
        let late = "date: Thu, 01 Jan 1970 00:10:00 GMT\r\n";
        let api = Responder::start(move |_, _| Reply::Raw(200, now, "{}".into())).await;
        let voter = Responder::start(move |_, _| Reply::Raw(429, late, "{}".into())).await;
        let bare = Responder::start(|_, _| Reply::Json(200, json!({}))).await;
        for (url, bad) in [(&voter.url, true), (&bare.url, false)] {
            let how = format!("address = {url:?}");
            let remote = rig::remote(Some(&api.url), &[("a", &how)], "").await;
            let mut report = Report::default();
            examine(&remote, &mut report).await;
            assert_eq!(report.bad, bad, "{url}");
        }
        assert!(api.seen().iter().all(|a| a == "GET /version"));
    }
}

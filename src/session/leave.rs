//! Whether the terminal may be left.

/// What `q` says once, where something runs that cannot be recorded.
const UNRECORDED: &str = "q again leaves it in doubt, with nothing more recorded";

/// What `q` comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Go,
    /// Not now, and why.
    Not(String),
    /// Not yet: it was said what is lost.
    Warned(String),
}

/// What runs is waited for. Where its end cannot be recorded anyway nobody is kept by it: whoever
/// has read that may go.
pub(super) fn leaving(kept: Option<String>, show_only: bool, warned: bool) -> Leaving {
    match kept {
        None => Leaving::Go,
        Some(why) if !show_only => Leaving::Not(why),
        Some(_) if warned => Leaving::Go,
        Some(why) => Leaving::Warned(format!("{why}; {UNRECORDED}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_recorded_keeps_nobody_for_ever() {
        let runs = || Some("x is running".to_owned());
        assert_eq!(leaving(None, false, false), Leaving::Go);
        assert_eq!(leaving(runs(), false, true), Leaving::Not("x is running".into()));
        let Leaving::Warned(said) = leaving(runs(), true, false) else { panic!() };
        assert!(said.starts_with("x is running; q again leaves it in doubt"), "{said}");
        assert_eq!(leaving(runs(), true, true), Leaving::Go);
    }
}

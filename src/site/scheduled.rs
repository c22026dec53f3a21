//! What the site lists of its own: each line must be one that is due some day.

use crate::event::{Scheduled, Time};
use crate::problem::Problem;
use toml::Spanned;

const REMEDY: &str = "write schedule = \"0 3 * * *\" and zone = \"Europe/Berlin\"";

pub(super) fn check(all: &[Spanned<Scheduled>], problems: &mut Vec<Problem>) {
    for own in all {
        let why = match own.get_ref().read() {
            Ok((line, zone)) if line.after(Time(0), zone).is_some() => continue,
            Ok(_) => format!("{}: such a day never comes", own.get_ref().name),
            Err(why) => why,
        };
        problems.push(Problem::error(own.span(), why, REMEDY));
    }
}

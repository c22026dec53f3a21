//! What must be seen on any terminal, whatever is drawn.

use super::*;

/// A table that nobody scrolls shows what the step in hand touches, also before its plan
/// is resolved.
#[test]
fn what_the_step_touches_is_in_sight() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let mut claims: Vec<Claim> =
        (0..30).map(|i| claim(&format!("cache-{i:02}"), "other", &format!("u{i}"))).collect();
    claims.push(Claim { pods: vec!["vault-0".into()], ..claim("data-vault-0", "other", "mine") });
    claims.push(claim("zebra", "other", "z"));
    let now = run.now;
    run.observe(vec![live(Source::Claims, now, Update::Claims(Rows::all(claims)))]);
    let text = screen(&shown(run, Overlay::None, &[]), (120, 40));
    let row = text.lines().find(|l| l.contains("data-vault-0")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("◀"), "{row}");
}

/// Too small to be read: it says so, and a name that is typed there releases nothing.
#[test]
fn a_terminal_that_is_too_small_says_what_it_wants_and_releases_nothing() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_review();
    let overlay = reviewing(&run);
    let mut s = shown(run, overlay, &[]);
    for (w, h) in [(79, 24), (80, 23), (40, 10), (12, 3), (1, 1)] {
        s.model.size = (w, h);
        let text = screen(&s, (w, h));
        assert!(w < 40 || text.contains("80×24 is wanted"), "{text}");
        s.look.ascii = !s.look.ascii;
        assert!(w < 40 || screen(&s, (w, h)).contains("80x24 is wanted"));
        s.look.ascii = !s.look.ascii;
        let before = s.model.clone();
        for code in ['0', 'c', ' '].map(KeyCode::Char).into_iter().chain([KeyCode::Enter]) {
            let asked = holdpoint::ui::key(&mut s.model, &s.state, code, s.now);
            assert!(asked == holdpoint::ui::Asked::Nothing && s.model == before);
        }
    }
}

/// Every state is told without colours, and every sign has one in ASCII.
#[test]
fn nothing_is_told_by_colour_or_sign_alone() {
    for (name, mut s) in states() {
        for size in SIZES {
            s.look = Look { colours: Colours::Many, ascii: false };
            let rich = screen(&s, size);
            s.look = Look { colours: Colours::None, ascii: true };
            let plain = screen(&s, size);
            let (text, styles) = plain.rsplit_once("\n---\n").unwrap();
            for (sign, instead) in rich.chars().zip(text.chars()) {
                assert!(sign.is_ascii() || instead.is_ascii() && instead != '?', "{name}: {sign}");
            }
            assert!(styles.lines().all(|l| l.contains(" Reset ")), "{name}:\n{styles}");
            for word in s.must.iter().filter(|w| w.is_ascii()) {
                assert!(text.contains(word), "{name} at {size:?} lacks {word}:\n{text}");
            }
        }
    }
}

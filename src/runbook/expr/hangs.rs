//! Whether a value hangs on what nobody told: then it is not known.

use super::{Expr, Scope, Seen};
use crate::world::{Raft, Source};

impl Expr {
    /// In words, the voters on whose lost paths the value hangs: it would be another one if
    /// they were well. No answer is neither well nor ill.
    pub(super) fn hangs_on_a_lost_path(
        &self,
        scope: &Scope<'_>,
        found: Option<&cel::Value>,
    ) -> Option<String> {
        if !self.sources.contains(&Source::Raft) {
            return None;
        }
        let supposed = scope.world.raft.supposing_lost_voters_well()?;
        if !self.is_another(scope, &supposed, found) {
            return None;
        }
        let lost: Vec<_> = scope.world.raft.lost().map(|v| v.name.as_str()).collect();
        Some(format!("path lost to {}: whether it is well is not known", lost.join(", ")))
    }

    /// In words, the voters on whose figures the value hangs that nobody told.
    pub(super) fn hangs_on_untold_figures(
        &self,
        scope: &Scope<'_>,
        found: Option<&cel::Value>,
    ) -> Option<String> {
        let named = ["behind", "latency_ms"].into_iter().find(|f| self.text.contains(f))?;
        let raft = &scope.world.raft;
        if !self.is_another(scope, &raft.supposing_untold_far_behind()?, found) {
            return None;
        }
        let untold: Vec<_> = raft.untold().map(|v| format!("{} ({})", v.name, v.verdict)).collect();
        Some(format!("{named} is not known of {}", untold.join(", ")))
    }

    /// Whether its value would be another one if raft were so.
    fn is_another(&self, scope: &Scope<'_>, supposed: &Raft, found: Option<&cel::Value>) -> bool {
        let seen = Seen::supposing(scope, supposed);
        self.program.execute(&seen.context()).ok().as_ref() != found
    }
}

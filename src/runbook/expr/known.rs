//! Expressions that were compiled already: a run's runbook is read when it is checked, when its
//! run begins, and again whenever somebody reads its journal, and parsing is most of that.

use crate::runbook::expr::{EvalError, Expr};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// So many are kept: a few large runbooks.
const KEPT: usize = 1000;

static KNOWN: Mutex<BTreeMap<String, Expr>> = Mutex::new(BTreeMap::new());

impl Expr {
    /// As [`Self::new`], once for each text.
    pub(crate) fn known(text: &str) -> Result<Self, EvalError> {
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expr) = known().get(text) {
            return Ok(expr.clone());
        }
        let expr = Self::new(text)?;
        let mut known = known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(text.to_owned(), expr.clone());
        Ok(expr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_text_is_compiled_once_and_none_is_kept_for_ever() {
        let one = || Expr::known("size(claims) == 7001").unwrap().program;
        // Other tests may fill it in between.
        assert!((0..100).any(|_| Arc::ptr_eq(&one(), &one())));
        assert!(Expr::known("size(claims ==").is_err());
        for n in 0..KEPT {
            assert_eq!(Expr::known(&format!("{n} == 1")).unwrap().text, format!("{n} == 1"));
        }
        assert!(KNOWN.lock().unwrap().len() <= KEPT);
    }
}

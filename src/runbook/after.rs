//! What expressions may name once an action was planned, and once it was done.

use crate::runbook::types::Ty;
use crate::runbook::verbs::Verb;
use std::sync::Arc;

/// What the plan of an action saw of what is there.
pub(super) fn before_type(spec: Option<&Verb>) -> Ty {
    let of = |fields: &[(&str, Ty)]| {
        let fields = fields.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect();
        Ty::Object("before".into(), Arc::new(fields))
    };
    let named = ("name", Ty::String);
    match spec.map(|verb| verb.name) {
        Some(
            "kube.delete_statefulset"
            | "kube.delete_claims"
            | "kube.delete_pod"
            | "kube.remove_protection"
            | "kube.keep_manifest"
            | "vault.peers_file",
        ) => Ty::List(Box::new(of(&[named, ("uid", Ty::String)]))),
        Some("kube.create_claims") => Ty::List(Box::new(of(&[named]))),
        Some("kube.apply") => of(&[("uid", Ty::String)]),
        Some("vault.snapshot_restore") => of(&[("index", Ty::Int)]),
        _ => Ty::Any,
    }
}

pub(super) fn result_type(spec: Option<&Verb>) -> Ty {
    spec.map_or(Ty::Any, |s| {
        Ty::Object(
            "result".into(),
            Arc::new(s.result.iter().map(|(n, t)| ((*n).to_owned(), t.ty())).collect()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::verbs::verb;

    /// The fields of an object, or of the rows of a list.
    fn fields(ty: &Ty) -> String {
        match ty {
            Ty::Object(_, fields) => fields
                .iter()
                .map(|(name, ty)| format!("{name}: {ty}"))
                .collect::<Vec<_>>()
                .join(", "),
            Ty::List(of) => format!("[{}]", fields(of)),
            _ => String::new(),
        }
    }

    /// A name that is misspelt behind `before` is found only where it is known what a plan saw.
    #[test]
    fn what_a_plan_saw_has_names() {
        for (name, wanted) in [
            ("kube.delete_statefulset", "[name: string, uid: string]"),
            ("kube.delete_claims", "[name: string, uid: string]"),
            ("kube.delete_pod", "[name: string, uid: string]"),
            ("kube.remove_protection", "[name: string, uid: string]"),
            ("kube.keep_manifest", "[name: string, uid: string]"),
            ("vault.peers_file", "[name: string, uid: string]"),
            ("kube.create_claims", "[name: string]"),
            ("kube.apply", "uid: string"),
            ("vault.snapshot_restore", "index: int"),
            ("vault.step_down", ""),
        ] {
            let spec = verb(name);
            assert!(spec.is_some(), "{name}");
            assert_eq!(fields(&before_type(spec)), wanted, "{name}");
        }
        assert_eq!(fields(&before_type(None)), "");
    }

    /// What an action returns is what its verb says that it does.
    #[test]
    fn what_an_action_returned_has_names() {
        assert_eq!(fields(&result_type(verb("kube.delete_claims"))), "at: timestamp, count: int");
        assert_eq!(fields(&result_type(None)), "");
    }
}

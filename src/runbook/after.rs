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

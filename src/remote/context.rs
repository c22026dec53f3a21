//! What a context of a kubeconfig names.

use kube::config::{AuthInfo, Kubeconfig};
use std::path::PathBuf;

/// What a context names.
#[derive(Default)]
pub(super) struct Named<'a> {
    pub(super) files: Vec<PathBuf>,
    pub(super) user: Option<&'a AuthInfo>,
    /// By which its cluster is reached.
    pub(super) proxy: Option<&'a str>,
}

pub(super) fn named<'a>(file: &'a Kubeconfig, context: &str) -> Named<'a> {
    let context = file.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let Some(context) = context else { return Named::default() };
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster);
    let cluster = cluster.and_then(|c| c.cluster.as_ref());
    let user = file.auth_infos.iter().find(|u| Some(&u.name) == context.user.as_ref());
    let user = user.and_then(|u| u.auth_info.as_ref());
    let authority = cluster.and_then(|c| c.certificate_authority.as_ref());
    let of_user = |u: &kube::config::AuthInfo| {
        [&u.client_certificate, &u.client_key, &u.token_file].map(Clone::clone)
    };
    let of_user = user.map(of_user).into_iter().flatten().flatten();
    let files = authority.cloned().into_iter().chain(of_user).map(PathBuf::from).collect();
    let proxy = cluster.and_then(|c| c.proxy_url.as_deref()).filter(|url| !url.is_empty());
    Named { files, user, proxy }
}

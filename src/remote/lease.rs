//! The Lease object: read, taken, renewed, let go. Every write names the version that was read,
//! so that of two who write one is told.

use crate::event::Time;
use crate::remote::Trouble;
use crate::remote::kube::within;
use crate::site::LeaseAt;
use crate::text::clean_line;
use ::kube::api::PostParams;
use ::kube::{Api, Client};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::Duration;

/// A lease as it was read.
#[derive(Debug, Clone)]
pub struct LeaseFound {
    /// Who holds it; empty: nobody.
    pub holder: String,
    /// Since when, by the holder's clock.
    pub since: Option<Time>,
    /// How long it is left to a holder who does not renew it.
    pub lasts: Duration,
    /// How often it changed hands.
    pub transitions: i32,
    /// The object's version: it changes with every renewal.
    pub version: String,
    object: Lease,
}

/// What is written into it.
#[derive(Debug, Clone, Copy)]
pub struct LeaseWrite<'a> {
    /// Who holds it then; none lets it go.
    pub holder: Option<&'a str>,
    /// How long it lasts.
    pub lasts: Duration,
    /// Now.
    pub now: Time,
    /// It changes hands, also from an earlier process of the same run.
    pub hands: bool,
}

fn api(client: &Client, at: &LeaseAt) -> Api<Lease> {
    Api::namespaced(client.clone(), &at.namespace)
}

fn found(object: Lease) -> LeaseFound {
    let spec = object.spec.clone().unwrap_or_default();
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    LeaseFound {
        holder: clean_line(&spec.holder_identity.unwrap_or_default()),
        since: spec.acquire_time.map(|t| Time::from(t.0)),
        lasts: Duration::from_secs(seconds),
        transitions: spec.lease_transitions.unwrap_or(0),
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        object,
    }
}

/// Reads it from the quorum; none: there is none yet.
pub async fn read_lease(client: &Client, at: &LeaseAt) -> Result<Option<LeaseFound>, Trouble> {
    Ok(within(api(client, at).get_opt(&at.name)).await?.map(found))
}

/// Writes it: a new one where none was found, else over the very version that was.
pub async fn write_lease(
    client: &Client,
    at: &LeaseAt,
    was: Option<&LeaseFound>,
    write: LeaseWrite<'_>,
) -> Result<LeaseFound, Trouble> {
    let mut object = was.map(|was| was.object.clone()).unwrap_or_default();
    object.metadata.name = Some(at.name.clone());
    object.metadata.namespace = Some(at.namespace.clone());
    object.metadata.managed_fields = None;
    let before = object.spec.unwrap_or_default();
    let now = MicroTime(write.now.timestamp());
    let acquired = if write.hands { Some(now.clone()) } else { before.acquire_time };
    object.spec = Some(LeaseSpec {
        holder_identity: write.holder.map(str::to_owned),
        lease_duration_seconds: i32::try_from(write.lasts.as_secs()).ok(),
        lease_transitions: Some(
            before.lease_transitions.unwrap_or(0).saturating_add(i32::from(write.hands)),
        ),
        acquire_time: acquired,
        renew_time: Some(now),
        ..LeaseSpec::default()
    });
    let (api, params) = (api(client, at), PostParams::default());
    let written = match was {
        None => within(api.create(&params, &object)).await?,
        Some(_) => within(api.replace(&at.name, &params, &object)).await?,
    };
    Ok(found(written))
}

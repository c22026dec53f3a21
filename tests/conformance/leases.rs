//! A lease between two who may hold it: every write names the version that was read.

use super::answer::{Answer, Done, Wrong, so};
use super::run::cases;
use super::world::World;
use serde_json::{Value, json};

cases![
    of_two_who_create_it_one_is_told,
    of_two_who_take_it_one_is_told,
    a_renewal_is_another_version,
    one_that_is_let_go_has_no_holder,
    what_is_no_lease,
    who_may_only_read_is_refused,
];

const TIME: &str = "2026-04-25T16:00:00.000000Z";
const LATER: &str = "2026-04-25T16:00:05.250000Z";
const MODIFIED: &str = "Operation cannot be fulfilled on leases.coordination.k8s.io \"l\": the \
                        object has been modified; please apply your changes to the latest version \
                        and try again";

fn path(w: &World, name: &str) -> String {
    let core = w.core("leases");
    let all = core.replace("/api/v1/", "/apis/coordination.k8s.io/v1/");
    if name.is_empty() { all } else { format!("{all}/{name}") }
}

fn lease(holder: &str, renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 1,
            "acquireTime": TIME, "renewTime": renewed,
        },
    })
}

async fn made(w: &World) -> Result<Answer, Wrong> {
    w.kube.post(&path(w, ""), &lease("one", TIME)).await?.code(201)
}

/// What was read, with another spec.
fn over(read: &Answer, spec: Value) -> Value {
    let mut body = read.body.clone();
    body["spec"] = spec;
    body
}

async fn of_two_who_create_it_one_is_told(w: &World) -> Done {
    made(w).await?;
    w.kube.post(&path(w, ""), &lease("two", TIME)).await?.refused(
        409,
        "AlreadyExists",
        "leases.coordination.k8s.io \"l\" already exists",
        &json!({"name": "l", "group": "coordination.k8s.io", "kind": "leases"}),
    )?;
    w.kube.get(&path(w, "l")).await?.code(200)?.has(&lease("one", TIME))?;
    Ok(())
}

async fn of_two_who_take_it_one_is_told(w: &World) -> Done {
    let read = made(w).await?;
    let spec = |holder: &str| lease(holder, LATER)["spec"].take();
    w.kube.put(&path(w, "l"), &over(&read, spec("two"))).await?.code(200)?;
    w.kube.put(&path(w, "l"), &over(&read, spec("three"))).await?.refused(
        409,
        "Conflict",
        MODIFIED,
        &json!({"name": "l", "group": "coordination.k8s.io", "kind": "leases"}),
    )?;
    w.kube.get(&path(w, "l")).await?.code(200)?.has(&lease("two", LATER))?;
    Ok(())
}

async fn a_renewal_is_another_version(w: &World) -> Done {
    let read = made(w).await?;
    let renewed = over(&read, lease("one", LATER)["spec"].take());
    let after = w.kube.put(&path(w, "l"), &renewed).await?.code(200)?;
    so(after.word("/spec/renewTime") == LATER, LATER, after.word("/spec/renewTime"))?;
    so(after.version() != read.version(), "another version", after.version())?;
    let same = w.kube.put(&path(w, "l"), &over(&after, renewed["spec"].clone())).await?;
    let same = same.code(200)?;
    so(same.version() == after.version(), after.version(), same.version())
}

async fn one_that_is_let_go_has_no_holder(w: &World) -> Done {
    let read = made(w).await?;
    let mut spec = lease("", LATER)["spec"].take();
    spec["holderIdentity"] = Value::Null;
    let after = w.kube.put(&path(w, "l"), &over(&read, spec)).await?.code(200)?;
    after.has(&json!({"spec": {"holderIdentity": "$absent", "leaseTransitions": 1}}))?;
    Ok(())
}

async fn what_is_no_lease(w: &World) -> Done {
    let wrong = |field: &str, value: Value| {
        let mut body = lease("one", TIME);
        body["spec"][field] = value;
        body
    };
    for (field, value, why) in [
        ("leaseDurationSeconds", 0, "must be greater than 0"),
        ("leaseTransitions", -1, "must be greater than or equal to 0"),
    ] {
        let field = format!("spec.{field}");
        let why = format!("Invalid value: {value}: {why}");
        let name = field.rsplit('.').next().unwrap_or_default();
        w.kube.post(&path(w, ""), &wrong(name, json!(value))).await?.refused(
            422,
            "Invalid",
            &format!("Lease.coordination.k8s.io \"l\" is invalid: {field}: {why}"),
            &json!({
                "name": "l", "group": "coordination.k8s.io", "kind": "Lease",
                "causes": [{"reason": "FieldValueInvalid", "message": why, "field": field}],
            }),
        )?;
    }
    // Its times have six digits behind the point.
    for (time, part, wanted) in
        [("2026-04-25T16:00:05.25Z", ".25Z", ".000000"), ("today", "today", "2006")]
    {
        let why = format!(
            "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"{time}\" as \
             \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"{part}\" as \"{wanted}\""
        );
        let answer = w.kube.post(&path(w, ""), &wrong("renewTime", json!(time))).await?;
        answer.code(400)?.has(&json!({"reason": "BadRequest", "message": why}))?;
    }
    Ok(())
}

async fn who_may_only_read_is_refused(w: &World) -> Done {
    made(w).await?;
    let reader = w.user(super::User::Reader).await;
    reader.get(&path(w, "l")).await?.code(200)?;
    let body = lease("two", LATER);
    let refused = reader.put(&path(w, "l"), &body).await?;
    so(refused.code == 403, "403", refused.text())?;
    let told = refused.word("/message");
    let wanted = "cannot update resource \"leases\" in API group \"coordination.k8s.io\"";
    so(told.contains(wanted), wanted, told)
}
